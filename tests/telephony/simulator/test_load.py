"""Many calls at once, over real sockets."""

import socket
from typing import Any

import pytest

from config.exceptions import SettingsError
from telephony.simulator.load import failure, run_load
from telephony.simulator.report import CallReport, Outcome

STEPS = ["wait", {"say": "hello you"}, {"interrupt": {"after_ms": 200, "say": "no stop it"}}, "wait"]


async def test_each_caller_calls_once(agent: Any, script: Any, speak: Any) -> None:
    report = await run_load(agent.voice(), script(*STEPS), calls=12, speak=speak, auth_token=None, ramp_s=0.5)
    assert report.ok or not report.generator.kept_up, report
    assert (report.calls, report.succeeded, report.failed, report.most_at_once) == (12, 12, 0, 12)
    assert (report.voice_to_voice_ms.count, report.barge_in_to_clear_ms.count) == (24, 12)
    assert report.voice_to_voice_ms.p50 is not None
    assert report.voice_to_voice_ms.p50 >= 200
    assert report.generator.frames_sent > 12 * 50
    assert (report.missing_answers, report.unheard_barge_ins, report.stray_ms) == (0, 0, 0.0)


async def test_callers_call_again_until_the_time_is_up(agent: Any, script: Any, speak: Any) -> None:
    steps = [{"silence": 100}, "hang_up"]
    report = await run_load(agent.voice(), script(*steps), calls=2, speak=speak, ramp_s=0.0, duration_s=2.2)
    assert report.calls >= 4
    assert report.succeeded == report.calls
    assert report.wall_s >= 2.2
    endless = script({"silence": 60_000})
    report = await run_load(agent.voice(), endless, calls=2, speak=speak, duration_s=0.5)
    assert (report.calls, report.cut_short, report.failed) == (2, 2, 0)


async def test_failures_are_counted_by_their_reasons(agent: Any, script: Any, speak: Any) -> None:
    lines: list[str] = []
    url = agent.voice(talk="close")
    report = await run_load(url, script("wait"), calls=3, speak=speak, on_line=lines.append)
    assert report.failures == {"the server closed the socket with 1008: no token": 3}
    assert (report.failed, report.succeeded, report.ok, len(lines)) == (3, 0, False, 3)
    report = await run_load(agent.voice(talk="busy"), script("wait"), calls=2, speak=speak)
    assert report.failures == {"refused: All lines are busy.": 2}


def test_an_unfinished_call_is_a_failure() -> None:
    report = CallReport(script="s", url="u", call_sid="CA", steps=3, outcome=Outcome.HUNG_UP_BY_AGENT, steps_done=1)
    assert failure(report) == "hung_up_by_agent after step 1 of 3"


def test_an_error_is_told_without_the_calls_name() -> None:
    report = CallReport(script="s", url="u", call_sid="CA1", steps=3, outcome=Outcome.FAILED, error="CA1: gone")
    assert failure(report) == "…: gone"


async def test_nobody_there_is_said_in_plain_words(script: Any, speak: Any) -> None:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as closed:  # a port that nobody else takes meanwhile
        closed.bind(("127.0.0.1", 0))
        port = closed.getsockname()[1]
        url = f"sip:x@127.0.0.1:{port};transport=tcp"
        report = await run_load(url, script("wait"), calls=1, speak=speak)
    assert report.failures == {f"INVITE {url}: tcp:127.0.0.1:{port} cannot be reached": 1}


async def test_no_calls_are_an_error(script: Any, speak: Any) -> None:
    with pytest.raises(SettingsError, match="0 calls"):
        await run_load("http://127.0.0.1:1", script("wait"), calls=0, speak=speak)
