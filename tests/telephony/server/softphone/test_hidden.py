"""A phone in a tab that nobody sees, driven by raw DevTools: Playwright's pages are always visible."""

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.debian import needs
from tests.simulated import quick
from tests.telephony.report.chromium import Chromium, started
from tests.waiting import until_here

pytest.importorskip("playwright")
from tests.telephony.server.softphone.phone_page import MICROPHONE

STATE = "document.getElementById('state').dataset.state"


def call_hidden(folder: Path, url: str) -> float:
    """Call, hide the tab for 3 s, hang up; gives the s for which it was hidden."""
    with started(folder) as chromium:
        chromium.send("Page.addScriptToEvaluateOnNewDocument", source=MICROPHONE)
        chromium.open(f"{url}/browser/", width=1100, dark=False)
        press(chromium)
        until_here(lambda: chromium.run(STATE) == "speaking")
        chromium.send("Target.createTarget", url="about:blank")
        until_here(lambda: chromium.run("document.visibilityState") == "hidden")
        begin = time.monotonic()
        until_here(lambda: time.monotonic() > begin + 3)
        assert chromium.run(STATE) == "speaking"
        press(chromium)
        return time.monotonic() - begin


def press(chromium: Chromium) -> None:
    chromium.send("Runtime.evaluate", expression="document.getElementById('call').click()", userGesture=True)


@pytest.mark.slow
@pytest.mark.timeout(150)
@needs("chromium")
async def test_it_goes_on_talking(serve: Callable[..., Any], tmp_path: Path) -> None:
    server = await asyncio.to_thread(serve, quick(words=400))
    hidden_s = await asyncio.to_thread(call_hidden, tmp_path, server.url)
    ended = await asyncio.to_thread(server.wait_for, "ended")
    assert (ended["reason"], ended["gaps"], ended["late"]) == ("the caller hung up", 0, 0)
    assert ended["frames"] > 0.8 * 50 * hidden_s
