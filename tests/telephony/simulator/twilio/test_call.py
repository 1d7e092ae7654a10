"""Whole calls over real sockets, with an agent in another process."""

import asyncio
import json
import re
import socket
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
import uvloop

from telephony.simulator.call import run_call
from telephony.simulator.report import Outcome
from tests.telephony.simulator.recordings import check_recording

TALK = ["wait", {"say": "hello you"}, "wait"]


async def messages(agent: Any, call: str) -> dict[str, Any]:
    async with httpx.AsyncClient(trust_env=False) as http:
        received: dict[str, Any] = (await http.get(f"{agent.url}/calls/{call}")).json()
        return received


async def test_a_call_from_greeting_to_hang_up(agent: Any, script: Any, speak: Any, tmp_path: Path) -> None:
    steps = [*TALK, {"dtmf": "7"}, {"say": "hello you"}, {"interrupt": {"after_ms": 300, "say": "no stop it"}}]
    lines: list[str] = []
    report = await run_call(
        agent.voice(), script(*steps), speak=speak, auth_token=None, out=tmp_path, on_line=lines.append, from_="+1999"
    )
    assert report.ok, report
    assert report.outcome is Outcome.HUNG_UP_BY_CALLER
    assert report.start_to_first_audio_ms is not None
    assert report.start_to_first_audio_ms <= report.turns[0].onset_ms
    assert [turn.step for turn in report.turns] == [2, 5, 6]
    for turn in report.turns[:2]:
        assert turn.voice_to_voice_ms is not None
        assert turn.voice_to_voice_ms >= 200, report.turns
    [item] = report.interruptions
    assert item.clear_ms is not None
    assert item.clear_ms >= 80
    assert item.stray_ms == 0
    assert any("hello you" in line for line in lines)
    assert any("stopped" in line for line in lines)

    received = await messages(agent, report.call_sid)
    events = [message["event"] for message in received["messages"]]
    assert events == ["start", "mark", "mark", "dtmf", "mark", "stop"]
    start = received["messages"][0]["start"]
    assert start["customParameters"] == {"token": "t1"}
    assert start["callSid"] == report.call_sid
    paths = [path for path, _ in received["forms"]]
    assert paths == ["/twilio/voice", "/twilio/status"]  # who hangs up himself does not ask what follows
    assert received["forms"][0][1]["From"] == "+1999"
    assert received["forms"][1][1]["CallStatus"] == "completed"

    assert json.loads((tmp_path / "report.json").read_text())["call_sid"] == report.call_sid
    check_recording(report, hiss=0)


async def test_the_agent_leaves_and_the_call_is_transferred(agent: Any, script: Any, speak: Any) -> None:
    url = agent.voice(talk="leave", after="redirect")
    report = await run_call(url, script("wait", expect="transferred"), speak=speak, auth_token=None)
    assert report.ok, report
    assert (report.outcome, report.transferred_to) == (Outcome.TRANSFERRED, "+15550100")
    assert report.said_by_line == ["One moment."]
    assert report.close_code == 1000
    received = await messages(agent, report.call_sid)
    assert [path for path, _ in received["forms"]] == ["/twilio/voice", "/after", "/after", "/twilio/status"]


async def test_the_agent_hangs_up(agent: Any, script: Any, speak: Any) -> None:
    report = await run_call(agent.voice(talk="leave"), script("wait", expect="hung_up_by_agent"), speak=speak)
    assert report.ok, report
    assert report.outcome is Outcome.HUNG_UP_BY_AGENT
    assert report.traffic.audio_cut_off_ms == 0
    early = await run_call(agent.voice(talk="leave"), script("wait", {"silence": 60_000}), speak=speak)
    assert (early.ok, early.steps_done, early.error) == (False, 1, "")


@pytest.mark.parametrize(("talk", "said"), [("busy", ["All lines are busy."]), ("reject", [])])
async def test_a_refused_call(agent: Any, script: Any, speak: Any, talk: str, said: list[str]) -> None:
    report = await run_call(agent.voice(talk=talk), script("wait"), speak=speak)
    assert (report.outcome, report.ok, report.said_by_line) == (Outcome.REFUSED, False, said)


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ({"talk": "forbidden"}, "refused with HTTP 403"),
        ({"talk": "close"}, "closed the socket with 1008: no token"),
        ({"talk": "leave", "after": "loop"}, "more than 10 TwiML documents"),
        ({"talk": "leave", "after": "nonsense"}, "no XML"),
        ({"talk": "leave", "after": "missing"}, "HTTP 500"),
        ({"talk": "silent"}, r"step 1 \(wait\): the agent did not speak within 300 ms"),
        ({"signed": "h.example"}, "HTTP 403: bad signature"),
    ],
)
async def test_what_goes_wrong_is_said(agent: Any, script: Any, speak: Any, query: dict[str, str], reason: str) -> None:
    settings = {"timeout_ms": 300} if query.get("talk") == "silent" else {}
    report = await run_call(
        agent.voice(**query), script("wait", {"silence": 5000}, **settings), speak=speak, auth_token="wrong"
    )
    assert (report.outcome, report.ok) == (Outcome.FAILED, False)
    assert re.search(reason, report.error), report.error


async def test_a_signed_call_to_a_server_behind_a_proxy(agent: Any, script: Any, speak: Any) -> None:
    report = await run_call(
        agent.voice(signed="voice.example.com"),
        script("wait", "hang_up"),
        speak=speak,
        auth_token="secret",
        public_url="https://voice.example.com",
    )
    assert report.ok, report.error


async def test_the_socket_itself_may_be_called(agent: Any, script: Any, speak: Any) -> None:
    url = agent.url.replace("http", "ws") + "/media/tone"
    report = await run_call(url, script("wait", "hang_up"), speak=speak)
    assert report.ok, report.error
    assert report.notes == []


async def test_nonsense_from_the_agent_is_counted(agent: Any, script: Any, speak: Any) -> None:
    report = await run_call(agent.voice(talk="nonsense"), script("wait", "hang_up"), speak=speak)
    assert report.ok
    assert report.traffic.rejected == 4
    assert report.traffic.clears_received == 0


async def test_stray_audio_is_measured(agent: Any, script: Any, speak: Any) -> None:
    step = {"interrupt": {"after_ms": 200, "say": "no stop it"}}
    report = await run_call(agent.voice(talk="stray"), script(step, "wait"), speak=speak)
    assert [item.stray_ms for item in report.interruptions] == [80.0]


def test_a_caller_who_is_held_up_takes_what_has_come_for_no_silence(agent: Any, script: Any, speak: Any) -> None:
    """The second half of the greeting comes then, and lies in the socket."""
    here, there = socket.socketpair()

    def hold_up() -> None:
        here.recv(1)
        time.sleep(1.5)

    def on_line(line: str) -> None:
        if "is connected" in line:
            loop = asyncio.get_running_loop()
            loop.add_reader(here, hold_up)  # what the loop of the command line does before its timers
            loop.call_later(0.1, there.send, b"!")

    steps = ["wait", {"say": "hello you"}]
    with here, there:
        report = uvloop.run(
            run_call(agent.voice(talk="halting"), script(*steps, timeout_ms=9000), speak=speak, on_line=on_line)
        )
    assert report.ok, report
    assert report.traffic.latest_frame_ms > 500
    assert report.turns[0].onset_ms >= 1500 + 200  # quiet_ms


async def test_a_call_too_long_is_ended(agent: Any, script: Any, speak: Any) -> None:
    report = await run_call(agent.voice(), script({"silence": 60_000}, longest_call_s=1), speak=speak)
    assert "not over after 1 s" in report.error


async def test_a_killed_server_is_reported(mortal_agent: Any, script: Any, speak: Any) -> None:
    def on_line(line: str) -> None:
        if "is connected" in line:
            asyncio.get_running_loop().call_later(1.0, mortal_agent.process.kill)

    report = await run_call(mortal_agent.voice(), script({"silence": 60_000}), speak=speak, on_line=on_line)
    assert (report.outcome, report.ok, report.close_code) == (Outcome.FAILED, False, 1006)
    assert "has the server died" in report.error
    assert report.start_to_first_audio_ms is not None
    assert any("status callback" in note for note in report.notes)
    gone = await run_call(mortal_agent.voice(), script("wait"), speak=speak)
    assert gone.outcome is Outcome.FAILED
    assert "/twilio/voice" in gone.error
