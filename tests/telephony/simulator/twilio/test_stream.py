"""The caller's end of a stream, in virtual time."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio import g711
from audio.rate import FRAME
from telephony.simulator.clip import render
from telephony.simulator.script import Script
from telephony.simulator.twilio.messages import StreamMessages, new_sid
from telephony.simulator.twilio.stream import TwilioTalk

MS = 8
FLOOR = (g711.SILENCE * FRAME,)


def open_stream(script: Script, speak: Any = None) -> TwilioTalk:
    out = StreamMessages(call_sid=new_sid("CA"), account_sid=new_sid("AC"))
    clips = render(script, speak) if speak else [None] * len(script.steps)
    stream = TwilioTalk(script, clips, FLOOR, out, keep_audio=True)
    assert [json.loads(message)["event"] for message in stream.open({})] == ["connected", "start"]
    return stream


def agent(stream: TwilioTalk, event: str, **body: Any) -> bytes:
    return json.dumps({"event": event, "streamSid": stream.out.stream_sid, **body}).encode()


def media(stream: TwilioTalk, payload: bytes) -> bytes:
    return agent(stream, "media", media={"payload": base64.b64encode(payload).decode()})


def read(messages: list[bytes]) -> list[dict[str, Any]]:
    return [json.loads(message) for message in messages]


@pytest.fixture
def stream(script: Any) -> TwilioTalk:
    return open_stream(script({"silence": 60_000}))


def test_a_frame_is_due_every_20_ms(stream: TwilioTalk) -> None:
    sent = [message for ms in range(1, 101) for message in read(stream.tick(ms * MS))]
    assert [message["media"]["timestamp"] for message in sent] == ["0", "20", "40", "60", "80"]
    assert [message["media"]["chunk"] for message in sent] == ["1", "2", "3", "4", "5"]
    assert [message["sequenceNumber"] for message in sent] == ["2", "3", "4", "5", "6"]
    assert (stream.frames_sent, stream.frames_late) == (5, 0)


def test_a_late_clock_sends_late_and_says_so(stream: TwilioTalk) -> None:
    assert len(stream.tick(20 * MS)) == 1
    assert len(stream.tick(107 * MS)) == 4
    assert (stream.frames_sent, stream.frames_late, stream.latest) == (5, 3, 67 * MS)
    assert stream.tick(119 * MS) == []


@given(st.lists(st.integers(0, 2000), max_size=50))
def test_no_frame_is_lost_or_early(steps: list[int]) -> None:
    stream = open_stream(Script.model_validate({"steps": [{"silence": 600_000}]}))
    now = 0
    for step in steps:
        now += step
        stream.tick(now)
        assert stream.frames_sent == now // FRAME


def test_marks_come_back_with_the_playback(stream: TwilioTalk, tone: Callable[[int], bytes]) -> None:
    assert read(stream.receive(agent(stream, "mark", mark={"name": "a"}), 10))[0]["mark"] == {"name": "a"}
    assert stream.receive(media(stream, tone(50)), 80) == []
    assert stream.receive(agent(stream, "mark", mark={"name": "b"}), 80) == []
    assert [message["event"] for message in read(stream.tick(160))] == ["media"]
    sent = read(stream.tick(480))
    assert [message.get("mark", {}).get("name") for message in sent] == ["b", None, None]
    stream.receive(media(stream, tone(50)), 500)
    stream.receive(agent(stream, "mark", mark={"name": "c"}), 500)
    cleared = read(stream.receive(agent(stream, "clear"), 600))
    assert [message["mark"]["name"] for message in cleared] == ["c"]
    assert (stream.marks_received, len(stream.clears), stream.clears[0].dropped) == (3, 1, 300)
    assert (stream.clears[0].at, stream.clears[0].audio_at) == (600, 480)
    numbers = [int(message["sequenceNumber"]) for message in sent + cleared]
    assert numbers == sorted(set(numbers))


def test_what_twilio_would_reject_is_counted(stream: TwilioTalk) -> None:
    assert stream.receive(b"{", 10) == []
    assert stream.receive(b'{"event":"clear","streamSid":"MZ0"}', 10) == []
    assert stream.clears == []
    for _ in range(50):
        stream.receive(agent(stream, "dance"), 10)
    assert (stream.error_count, len(stream.errors)) == (52, 20)
    assert "foreign streamSid: 'MZ0'" in stream.errors[1]
    assert "dance" in stream.errors[2]


def test_stray_audio_after_a_clear(script: Any, speak: Any, tone: Callable[[int], bytes]) -> None:
    stream = open_stream(script({"interrupt": {"after_ms": 100, "say": "stop it"}}, "wait"), speak)
    stream.receive(media(stream, tone(1000)), 0)
    now = 0
    while not stream.runner.said:
        now += FRAME
        stream.tick(now)
    stream.receive(agent(stream, "clear"), now)
    stream.receive(media(stream, tone(20)), now + 10)
    stream.receive(media(stream, tone(40)), now + 100)
    assert stream.clears[0].stray == 60 * MS
    while now < stream.runner.said[0].end:
        now += FRAME
        stream.tick(now)
    stream.receive(media(stream, tone(40)), now)  # the caller has finished: an answer
    assert stream.clears[0].stray == 60 * MS


def test_keys_go_out_between_the_frames(script: Any) -> None:
    stream = open_stream(script({"dtmf": "5"}, {"silence": 1000}))
    sent = read(stream.tick(FRAME))
    assert [message["event"] for message in sent] == ["dtmf", "media"]
    assert sent[0]["dtmf"]["digit"] == "5"


def test_the_caller_hangs_up(script: Any) -> None:
    stream = open_stream(script({"silence": 100}))
    stream.tick(5000)
    assert stream.over
    assert stream.frames_sent == 5
    assert stream.tick(6000) == []
    assert read(stream.stop())[0]["event"] == "stop"


def test_the_end_cuts_off_what_was_not_played(stream: TwilioTalk, tone: Callable[[int], bytes]) -> None:
    stream.receive(media(stream, tone(100)), 0)
    stream.end(300)
    assert stream.unplayed == 500
    assert stream.playback.pieces == [(0, tone(100)[:300])]
    assert stream.ear.spurts[-1].end == 300
