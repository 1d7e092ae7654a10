"""The caller's end of a call over RTP, in virtual time, with the agent's end of it as it is."""

from collections import deque
from typing import Any

import pytest

from audio import g711
from audio.rate import FRAME
from telephony.lines.exceptions import CommandError
from telephony.lines.rtp.codec import PCMU
from telephony.lines.rtp.media import Media
from telephony.lines.rtp.parameters import Parameters
from telephony.simulator.clip import render
from telephony.simulator.measure import measure
from telephony.simulator.report import CallReport
from telephony.simulator.sip.stream import RtpTalk

MS = 8
CALLER, AGENT = ("192.0.2.1", 4000), ("192.0.2.2", 4000)
FLOOR = (g711.SILENCE * FRAME,)


def agreed(remote: tuple[str, int], event_type: int | None = 101) -> Parameters:
    events = {} if event_type is None else {event_type: 8000}
    return Parameters(remote=remote, codecs={0: PCMU}, event_type=event_type, events=events)


class Rehearsal:
    """A call in virtual time: the agent does what `plan` says at those ms, the caller follows the script."""

    def __init__(self, script: Any, speak: Any, tone: Any, event_type: int | None = 101) -> None:
        clips = render(script, speak)
        self.talk = RtpTalk(script, clips, FLOOR, agreed(AGENT, event_type), keep_audio=True)
        self.agent = Media(agreed(CALLER), self._next, 0.0)
        self.keys = ""
        self.tone = tone
        self.words: deque[bytes] = deque()

    def run(self, plan: dict[int, Any], until_ms: int) -> CallReport:
        """`plan`: at ms → ms of speech, "stop", or "lose" and "found" for packets of the agent."""
        lost, now_ms = False, 0
        for now_ms in range(0, until_ms, 10):
            match plan.get(now_ms):
                case int(length):
                    pcm = g711.decode(self.tone(length))
                    self.words.extend(pcm[at : at + 2 * FRAME] for at in range(0, len(pcm), 2 * FRAME))
                case "stop":
                    self.words.clear()
                case ("press", str(keys)):
                    self.agent.press(keys)
                case "lose" | "found" as what:
                    lost = what == "lose"
            if now_ms % 20 == 10:  # between the caller's beats
                packet = self.agent.tick(now_ms)
                if packet is not None and not lost:
                    self.talk.receive(packet, AGENT, now_ms)
            for data in self.talk.tick(now_ms * MS):
                self.keys += self.agent.receive(data, CALLER, now_ms) or ""
        self.talk.end(now_ms * MS)
        report = CallReport(script="test", url="", call_sid="", steps=9)
        measure(report, self.talk, now_ms * MS)
        return report

    def _next(self) -> bytes | None:
        return self.words.popleft() if self.words else None


@pytest.fixture
def call(script: Any, speak: Any, tone: Any) -> Any:
    return lambda *steps, **settings: Rehearsal(script(*steps, **settings), speak, tone)


def near(value: float | None, expected: float, by: float = 25) -> bool:
    return value is not None and abs(value - expected) <= by


def test_the_agents_keys_are_heard_once_each_and_kept_within_bounds(call: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    heard = call({"silence": 4000}).run({100: ("press", "10"), 1000: ("press", "w44")}, 3000)
    assert heard.keys_heard == "1044"
    assert heard.start_to_first_audio_ms is None
    monkeypatch.setattr("telephony.simulator.talk.MOST_KEYS", 3)
    assert call({"silence": 4000}).run({100: ("press", "12345")}, 3000).keys_heard == "123"


def test_the_agent_is_heard_through_the_jitter_buffer(call: Any) -> None:
    play = call("wait", {"say": "hello"}, {"silence": 60_000})
    report = play.run({100: 200, 1300: 300}, 2200)
    assert near(report.start_to_first_audio_ms, 150)  # 40 to 60 ms after its packet
    # The greeting ends at 350 ms, the caller speaks from 550 to 800 ms.
    [turn] = report.turns
    assert near(turn.onset_ms, 560)
    assert near(turn.voice_to_voice_ms, 1350 - 810)
    assert (report.interruptions, report.underruns) == ([], [])
    assert report.traffic.frames_sent == len(play.talk.sent) == 2190 // 20
    assert report.traffic.media_received == 110
    gaps = report.traffic.arrival_gap_ms
    assert (gaps.count, gaps.p50, gaps.max) == (109, 20.0, 20.0)


def test_barge_in_to_clear_is_to_the_last_audible_sample(call: Any) -> None:
    steps = [{"interrupt": {"after_ms": 300, "say": "stop it"}}, "wait", {"say": "a"}]
    report = call(*steps).run({0: 2000, 460: "stop", 1200: 200}, 2500)
    # The caller speaks from about 360 to 710 ms; what left before 460 ms is heard until about 510 ms.
    [item] = report.interruptions
    assert near(item.onset_ms, 360)
    assert near(item.onset_ms + (item.clear_ms or 0), 510)
    assert (item.heard_ms, item.stray_ms) == (item.clear_ms, 0)
    assert report.summary.unheard_barge_ins == 0
    assert [turn.step for turn in report.turns] == [1, 3]  # the wait was for what came after it
    assert near(report.turns[0].answer_ms, 1250)


def test_an_agent_that_speaks_on_has_not_stopped(call: Any) -> None:
    report = call({"interrupt": {"after_ms": 300, "say": "stop it"}}, "wait").run({0: 1500}, 2500)
    [item] = report.interruptions
    assert item.clear_ms is None
    assert near(item.heard_ms, 1550 - 360)
    assert report.summary.unheard_barge_ins == 1


def test_what_comes_after_a_stop_is_stray_while_the_caller_goes_on(call: Any) -> None:
    steps = [{"interrupt": {"after_ms": 300, "say": "stop it will you please"}}, "wait"]  # 1150 ms
    report = call(*steps).run({0: 2000, 460: "stop", 1000: 60}, 2500)
    [item] = report.interruptions
    assert near(item.onset_ms + (item.clear_ms or 0), 510)
    assert near(item.stray_ms, 60, 1)


def test_packets_that_do_not_come_are_an_underrun(call: Any) -> None:
    report = call("wait", {"silence": 500}).run({0: 1000, 400: "lose", 560: "found"}, 2000)
    [dry] = report.underruns
    assert near(dry.at_ms, 440)
    assert near(dry.length_ms, 160, 60)  # with what the buffer keeps back
    assert report.traffic.arrival_gap_ms.max == 180.0
    silent = call("wait", {"silence": 500}).run({0: 200, 700: "lose", 860: "found"}, 2000)
    assert silent.underruns == []  # nothing was to be heard then


def test_a_voice_that_was_not_ready_is_an_underrun_too(call: Any) -> None:
    report = call("wait", {"silence": 500}).run({0: 300, 400: 300}, 2000)
    [dry] = report.underruns
    assert (near(dry.at_ms, 310), dry.length_ms) == (True, 100.0)


def test_a_pause_that_the_caller_has_made_is_none(call: Any) -> None:
    steps = [{"interrupt": {"after_ms": 300, "noise": {"ms": 100}}}, {"silence": 1500}]
    report = call(*steps).run({0: 2000, 460: "stop", 800: 300}, 2500)
    assert report.underruns == []
    assert [item.noise for item in report.interruptions] == [True]


def test_keys_go_out_as_events(call: Any) -> None:
    play = call({"silence": 100}, {"dtmf": "1#"}, {"silence": 400})
    play.run({}, 1200)
    assert play.keys == "1#"


def test_an_agent_that_takes_no_keys_is_said(script: Any, speak: Any, tone: Any) -> None:
    play = Rehearsal(script({"dtmf": "1"}), speak, tone, event_type=None)
    with pytest.raises(CommandError, match="takes no keys"):
        play.run({}, 100)


def test_a_clock_that_was_held_up_sends_what_is_due(call: Any) -> None:
    play = call({"silence": 60_000})
    assert len(play.talk.tick(20 * MS)) == 1
    assert len(play.talk.tick(107 * MS)) == 4
    assert (play.talk.frames_sent, play.talk.frames_late) == (5, 3)
    assert play.talk.playback.end == 6 * FRAME  # as many frames were heard
