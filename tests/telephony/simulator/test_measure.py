"""The figures of a call, from calls in virtual time whose figures are known."""

import base64
import json
from collections.abc import Callable
from typing import Any

import pytest

from audio import g711
from audio.rate import FRAME
from telephony.simulator.clip import render
from telephony.simulator.measure import measure
from telephony.simulator.report import CallReport
from telephony.simulator.twilio.messages import StreamMessages, new_sid
from telephony.simulator.twilio.stream import TwilioTalk

MS = 8


class Rehearsal:
    """A call in virtual time: the agent does what `plan` says at those ms, the caller follows the script."""

    def __init__(self, script: Any, speak: Any, tone: Callable[[int], bytes]) -> None:
        out = StreamMessages(call_sid=new_sid("CA"), account_sid=new_sid("AC"))
        floor = (g711.SILENCE * FRAME,)
        self.stream = TwilioTalk(script, render(script, speak), floor, out, keep_audio=True)
        self.tone = tone

    def run(self, plan: dict[int, str | int], until_ms: int) -> CallReport:
        """`plan`: at ms → "clear", or ms of speech."""
        now = 0
        for now in range(0, until_ms * MS, MS):
            self.now = now
            match plan.get(now // MS) if now % MS == 0 else None:
                case "clear":
                    self._send("clear")
                case int(length):
                    payload = base64.b64encode(self.tone(length)).decode()
                    self._send("media", media={"payload": payload})
            self.stream.tick(now)
        self.stream.end(now)
        report = CallReport(script="test", url="", call_sid="CA", steps=9)
        measure(report, self.stream, now)
        return report

    def _send(self, event: str, **body: Any) -> None:
        message = {"event": event, "streamSid": self.stream.out.stream_sid, **body}
        self.stream.receive(json.dumps(message).encode(), self.now)


@pytest.fixture
def call(script: Any, speak: Any, tone: Any) -> Callable[..., Rehearsal]:
    return lambda *steps, **settings: Rehearsal(script(*steps, **settings), speak, tone)


def near(value: float | None, expected: float) -> bool:
    return value is not None and abs(value - expected) <= 6


def test_voice_to_voice(call: Any) -> None:
    report = call("wait", {"say": "hello"}, "wait").run({100: 200, 1000: 300}, 2000)
    # The greeting ends at 300 ms, the caller speaks from 500 to 750 ms.
    [turn] = report.turns
    assert (turn.step, turn.text) == (2, "hello")
    assert near(turn.onset_ms, 500)
    assert near(turn.speech_end_ms, 750)
    assert near(turn.answer_ms, 1000)
    assert near(turn.voice_to_voice_ms, 250)
    assert near(report.summary.voice_to_voice_ms.p50, 250)
    assert near(report.start_to_first_audio_ms, 100)
    assert (report.interruptions, report.underruns, report.summary.missing_answers) == ([], [], 0)
    assert report.traffic.media_received == 2
    assert near(report.traffic.audio_played_ms, 500)


def test_an_answer_before_the_caller_has_finished_is_early(call: Any) -> None:
    report = call("wait", {"say": "hello there"}, "wait").run({0: 100, 600: 600}, 2000)
    [turn] = report.turns
    assert turn.voice_to_voice_ms is not None
    assert turn.voice_to_voice_ms < 0
    assert (report.summary.early_answers, report.summary.voice_to_voice_ms.count) == (1, 0)


def test_a_missing_answer(call: Any) -> None:
    report = call("wait", {"say": "hello"}, {"silence": 500}, {"say": "hello"}).run({0: 100, 1700: 100}, 2000)
    assert [turn.answer_ms is None for turn in report.turns] == [True, False]
    assert report.summary.missing_answers == 1


def test_the_last_words_need_no_answer(call: Any) -> None:
    report = call("wait", {"say": "hello"}, "hang_up").run({0: 100}, 2000)
    assert (len(report.turns), report.summary.missing_answers) == (1, 0)


def test_barge_in(call: Any) -> None:
    steps = [{"interrupt": {"after_ms": 300, "say": "stop it"}}, "wait"]
    report = call(*steps).run({0: 2000, 400: "clear", 430: 40, 1000: 200}, 2000)
    # The caller speaks from 300 to 650 ms.
    [item] = report.interruptions
    assert near(item.onset_ms, 300)
    assert near(item.clear_ms, 100)
    assert near(item.clear_audio_ms, 80)  # the frame of 400 ms goes out just after the clear
    assert near(item.heard_ms, 170)
    assert near(item.stray_ms, 40)
    [turn] = report.turns
    assert near(turn.voice_to_voice_ms, 350)
    assert near(report.summary.barge_in_to_clear_ms.p50, 100)
    assert (report.summary.unheard_barge_ins, report.summary.underruns) == (0, 0)


def test_an_agent_that_speaks_on(call: Any) -> None:
    steps = [{"interrupt": {"after_ms": 300, "say": "stop it"}}, "wait"]
    report = call(*steps).run({0: 1000, 1600: 200}, 3000)
    [item] = report.interruptions
    assert item.clear_ms is None
    assert near(item.heard_ms, 700)
    assert report.summary.unheard_barge_ins == 1
    assert near(report.turns[0].voice_to_voice_ms, 950)  # what it says next


def test_a_noise_is_no_turn(call: Any) -> None:
    steps = [{"interrupt": {"after_ms": 300, "noise": {"ms": 100}}}, "wait"]
    report = call(*steps).run({0: 1000}, 2000)
    [item] = report.interruptions
    assert (item.noise, item.clear_ms) == (True, None)
    assert (report.turns, report.summary.unheard_barge_ins) == ([], 0)


def test_a_call_that_ends_in_an_interruption_decides_nothing(call: Any) -> None:
    report = call({"interrupt": {"after_ms": 300, "say": "stop it"}}).run({0: 1000}, 400)
    assert report.interruptions == []


def test_underruns(call: Any) -> None:
    report = call("wait", {"say": "a"}, "wait").run({0: 100, 150: 100, 570: 100}, 2000)
    # The caller speaks from 450 to 500 ms: the second gap is a pause before an answer.
    [dry] = report.underruns
    assert near(dry.at_ms, 100)
    assert near(dry.length_ms, 50)
    assert (report.summary.underruns, report.traffic.arrival_gap_ms.count) == (1, 1)
