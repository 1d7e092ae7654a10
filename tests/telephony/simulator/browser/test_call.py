"""A simulated page against a real server: what goes wrong is in the report."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from telephony.cli.main import main
from telephony.simulator.call import run_call
from telephony.simulator.load import run_load
from telephony.simulator.report import Outcome
from tests.simulated import quick

PUBLIC = "https://voice.example.com"


async def test_a_call_with_keys(serve: Callable[..., Any], script: Any, speak: Any, tmp_path: Path) -> None:
    server = serve(quick())
    steps = ("wait", {"dtmf": "7#"}, "wait", "hang_up")
    report = await run_call(server.url, script(*steps), speak=speak, line="browser", out=tmp_path)
    assert report.ok, report
    assert report.outcome is Outcome.HUNG_UP_BY_CALLER
    assert report.call_sid.startswith("browser-")
    assert (report.close_code, report.traffic.rejected) == (1000, 0)
    assert (tmp_path / "call.wav").stat().st_size > 10_000


async def test_a_refused_token(serve: Callable[..., Any], script: Any, speak: Any, tmp_path: Path) -> None:
    settings = quick() | {"server.public_url": PUBLIC, "browser.origins": ["https://shop.example"]}
    server = serve(settings, TWILIO_AUTH_TOKEN="secret")
    report = await run_call(server.url, script("hang_up"), speak=speak, line="browser")
    assert report.outcome is Outcome.FAILED
    assert "HTTP 401" in report.error
    token = (server.data / "control-token").read_text().strip()
    report = await run_call(server.url, script("wait", "hang_up"), speak=speak, line="browser", control_token=token)
    assert report.ok, report


async def test_busy_and_nobody_there(serve: Callable[..., Any], script: Any, speak: Any) -> None:
    server = serve(quick() | {"call.capacity": 1, "server.drain_s": 0})
    load = await run_load(
        server.url, script("wait", {"silence": 1500}, "hang_up"), calls=2, speak=speak, line="browser"
    )
    assert (load.succeeded, load.failed) == (1, 1)
    assert "busy: all places are taken" in next(iter(load.failures))
    report = await run_call("http://127.0.0.1:9", script("hang_up"), speak=speak, line="browser")
    assert report.error.startswith("POST http://127.0.0.1:9/browser/token")


def test_a_control_token_that_cannot_be_read(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["call", "--line", "browser", "--control-token", str(tmp_path / "none")]) != 0
    assert "--control-token: cannot read" in capsys.readouterr().err
