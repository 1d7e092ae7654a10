"""The example: a page of its own origin, with a server of its own, in a real Chromium."""

import asyncio
import os
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from telephony.lines.outbound_call import TOKEN_FILE
from tests.debian import needs
from tests.simulated import quick
from tests.waiting import until

pytest.importorskip("playwright")
from tests.telephony.server.softphone.phone_page import WAIT_MS, phone_page

EXAMPLE = Path(__file__).parents[4] / "examples" / "browser"


def test_it_is_short() -> None:
    assert len((EXAMPLE / "server.py").read_text().splitlines()) <= 45  # 30 without its head
    assert len((EXAMPLE / "index.html").read_text().splitlines()) <= 30


@pytest.mark.slow
@pytest.mark.timeout(150)
@needs("chromium")
async def test_a_page_of_another_origin_calls(serve: Callable[..., Any]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    page = f"http://127.0.0.1:{port}"
    server = await asyncio.to_thread(serve, quick(words=100) | {"browser.origins": [page]})
    token = (server.data / TOKEN_FILE).read_text().strip()
    environment = os.environ | {"PORT": str(port), "VOXLINE_ADDRESS": server.url, "VOXLINE_TOKEN": token}
    own = started(environment)
    try:
        async with phone_page() as one:
            await until(lambda: reachable(port))
            await one.page.goto(page)
            await one.page.click("#call")
            await one.page.wait_for_function(
                "() => document.getElementById('state').textContent === 'We can hear you.'", timeout=WAIT_MS
            )
            await asyncio.sleep(0.5)
            await one.page.click("#call")
            await one.page.wait_for_function(
                "() => document.getElementById('call').textContent === 'Talk to us'", timeout=WAIT_MS
            )
            assert [error for error in one.errors if "favicon" not in error and "404" not in error] == []
        ended = await asyncio.to_thread(server.wait_for, "ended")
    finally:
        own.terminate()
        own.wait(20)
    assert ended["reason"] == "the caller hung up"
    assert ended["frames"] > 10


def started(environment: dict[str, str]) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, str(EXAMPLE / "server.py")], env=environment, stderr=subprocess.DEVNULL)


def reachable(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0
