"""A disk that hangs while callers book: they are told, their calls end, and so does the server."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import uvloop

from config.agent import FAILED_REQUESTS
from telephony.simulator.call import run_call
from telephony.simulator.report import CallReport
from telephony.simulator.script import load_script

SCRIPT = """
voice: en-us+adam
speed: 0.9
expect: hung_up_by_agent
steps:
  - wait
  - say: I'd like to book an appointment on Tuesday at ten o'clock.
  - wait
  - say: Yes, please.
  - wait
  - say: Goodbye.
  - wait
"""
pytestmark = [pytest.mark.slow, pytest.mark.timeout(150)]
DRAIN_S = 100
SETTINGS: dict[str, Any] = {"reply.tool_timeout_s": 0.5, "server.drain_s": DRAIN_S}


@pytest.fixture
def hung(serve: Callable[..., Any]) -> Iterator[Any]:
    """A server whose bookings go into a pipe that nobody reads, which keeps its writer waiting as such a disk does."""
    server = serve(SETTINGS)
    pipe = server.data / "bookings.jsonl"
    os.mkfifo(pipe)
    yield server
    os.close(os.open(pipe, os.O_RDONLY | os.O_NONBLOCK))


def book(server: Any, folder: Path) -> CallReport:
    (folder / "book.yaml").write_text(SCRIPT)
    return uvloop.run(run_call(server.url, load_script(folder / "book.yaml")))


def test_the_caller_is_told_and_the_server_ends(hung: Any, tmp_path: Path) -> None:
    report = book(hung, tmp_path)
    assert report.ok, report.error
    said = [line["text"] for line in hung.log if line["message"] == "said" and line["role"] == "agent"]
    assert any(text.startswith("I'm sorry, I couldn't book that just now.") for text in said), said
    ended = hung.wait_for("ended", call=report.call_sid)
    assert ended["outcome"] == "hangup"
    (warning,) = [line for line in hung.log if line["message"] == "tool"]
    assert (warning["level"], warning["call"], warning["tool"]) == ("WARNING", report.call_sid, "book_appointment")
    (kept,) = map(json.loads, (hung.data / FAILED_REQUESTS).read_text().splitlines())
    assert (kept["call"], kept["arguments"]) == (report.call_sid, {"day": "Tuesday", "time": "ten o'clock"})
    assert hung.metric('voxline_tools_total{outcome="failed",tool="book_appointment"}') == 1
    assert hung.metric("voxline_calls_active") == 0

    hung.process.send_signal(signal.SIGTERM)
    assert hung.process.wait(DRAIN_S / 2) == 0  # its thread still hangs, but no call is on
