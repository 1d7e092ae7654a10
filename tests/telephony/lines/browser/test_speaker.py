"""The agent's audio on its way to a browser: every sample heard once, however often it is paused."""

from itertools import cycle

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from telephony.lines.browser.messages import Heard, Stopped
from telephony.lines.browser.speaker import LEAD_MS, MAX_LEAD_MS, PER_MS, Speaker
from telephony.lines.exceptions import ProtocolError
from tests.telephony.lines.browser.page import Ear


def ramp(samples: int, start: int = 1) -> bytes:
    """Samples that are told apart."""
    return ((np.arange(samples) + start) % 30_000).astype("<i2").tobytes()


class Line:
    """A speaker and the browser at its other end. `delays` are those of messages, in ticks of 10 ms, over and over;
    none overtakes another."""

    def __init__(self, *delays: int) -> None:
        self.played: list[tuple[int, float]] = []
        self.speaker = Speaker(lambda reply, ms: self.played.append((reply, ms)))
        self.ear = Ear()
        self.now_ms = 0.0
        self.recorded = b""
        self._delays = cycle(delays or (0,))
        self._down: list[tuple[float, object]] = []
        self._up: list[tuple[float, object]] = []
        self._answers: list[Stopped] = []
        self._connected = True

    def pause(self) -> float:
        """The conversation pauses."""
        heard_ms = self.speaker.pause(self.now_ms)
        self._send(self._down, self.speaker.epoch)
        return heard_ms

    def break_off(self) -> None:
        """The socket is lost, with all that is on its way; the page comes back with another."""
        self._down.clear()
        self._up.clear()
        self._connected = False
        self.tick(3)
        self._connected = True
        for answer in self._answers[-8:]:
            self._send(self._up, answer)
        self.speaker.stop(self.now_ms)
        self._send(self._down, self.speaker.epoch)

    def tick(self, ticks: int = 1) -> None:
        """10 ms pass."""
        for _ in range(ticks):
            for block in self.speaker.take(self.now_ms) if self._connected else ():
                self._send(self._down, block)
            self.now_ms += 10
            self.ear.play(10 * PER_MS)
            for message in self._arrived(self._down):
                if isinstance(message, int):
                    self._answers.append(self.ear.clear(message))
                    self._send(self._up, self._answers[-1])
                else:
                    self.ear.take(message)
            if self.now_ms % 20 == 0 and self._connected:
                self._send(self._up, self.ear.told)
            for message in self._arrived(self._up):
                if isinstance(message, Stopped):
                    self.recorded += self.speaker.stopped(message)
                else:
                    self.recorded += self.speaker.acknowledge(message, self.now_ms)

    def _send(self, way: list[tuple[float, object]], message: object) -> None:
        arrives = self.now_ms + 10 * next(self._delays)
        way.append((max(arrives, way[-1][0]) if way else arrives, message))

    def _arrived(self, way: list[tuple[float, object]]) -> list[object]:
        arrived = [message for at, message in way if at <= self.now_ms]
        way[:] = [item for item in way if item[0] > self.now_ms]
        return arrived


@settings(max_examples=60)
@given(
    delay=st.integers(0, 12),
    samples=st.integers(2, 20_000).map(lambda n: 2 * n),
    pauses=st.lists(st.tuples(st.integers(1, 60), st.integers(0, 40)), max_size=5),
)
def test_every_sample_is_heard_once_whenever_it_is_paused(
    delay: int, samples: int, pauses: list[tuple[int, int]]
) -> None:
    line, whole = Line(delay), ramp(samples)
    line.speaker.add(1, whole, [samples / PER_MS])
    for before, during in pauses:
        line.tick(before)
        certain = line.pause()
        assert certain <= line.ear.heard / PER_MS
        line.tick(during)
        line.speaker.resume()
    line.tick(samples // 160 + 200)
    assert line.ear.heard == samples
    heard = [line.ear.sum[position] for position in range(samples)]
    assert heard == np.frombuffer(whole, "<i2").tolist()
    assert (1, samples / PER_MS) in line.played
    assert [ms for _, ms in line.played] == sorted(ms for _, ms in line.played)


@settings(max_examples=100)
@given(
    delays=st.lists(st.integers(0, 12), min_size=1, max_size=7),
    samples=st.integers(2, 16_000).map(lambda n: 2 * n),
    steps=st.lists(st.sampled_from(["pause", "resume", "break"]) | st.integers(1, 40), max_size=12),
)
def test_nor_does_a_broken_socket_or_a_bad_network_lose_or_repeat_one(
    delays: list[int], samples: int, steps: list[str | int]
) -> None:
    line, whole = Line(*delays), ramp(samples)
    line.speaker.add(1, whole, [samples / PER_MS])
    for step in [*steps, "resume"]:
        match step:
            case "pause":
                line.pause()
            case "resume":
                line.speaker.resume()
            case "break":
                line.break_off()
            case int():
                line.tick(step)
    line.tick(samples // 160 + 400)
    assert line.ear.heard == samples
    assert [line.ear.sum[position] for position in range(samples)] == np.frombuffer(whole, "<i2").tolist()
    assert line.played[-1] == (1, samples / PER_MS)
    assert not line.speaker.stopping


@settings(max_examples=40)
@given(delay=st.integers(0, 8), before=st.integers(1, 50))
def test_after_a_drop_the_next_reply_follows_what_was_heard(delay: int, before: int) -> None:
    line = Line(delay)
    line.speaker.add(1, ramp(32_000), [2000.0])
    line.tick(before)
    line.pause()
    line.speaker.drop()
    line.speaker.add(2, ramp(8000, 20_000), [500.0])
    line.tick(100 + 2 * delay)
    last = [ms for reply, ms in line.played if reply == 1]
    begin = round(last[-1] * PER_MS) if last else 0
    assert line.ear.heard == begin + 8000
    after = [line.ear.sum[position] for position in range(begin + 320, begin + 8000)]
    assert after == np.frombuffer(ramp(8000, 20_000), "<i2").tolist()[320:]
    assert line.played[-1] == (2, 500.0)
    assert (1, 2000.0) not in line.played


def test_what_a_pause_tells_becomes_exact() -> None:
    line = Line(3)
    line.speaker.add(1, ramp(32_000), [2000.0])
    line.tick(41)
    certain = line.pause()
    line.tick(10)
    exact = line.ear.heard / PER_MS
    assert certain < exact
    assert line.played == [(1, exact)]
    assert len(line.recorded) == 2 * (line.ear.heard + 320)  # with the fade


def test_marks_are_told_as_soon_as_they_are_heard() -> None:
    line = Line()
    line.speaker.add(1, ramp(6400), [100.0, 100.05, 400.0])
    line.tick(10)
    assert line.played == []
    line.tick(6)
    assert line.played == [(1, 100.0), (1, 100.05)]
    line.tick(40)
    assert line.played[-1] == (1, 400.0)


def test_the_first_audio_leaves_at_once_and_no_more_than_the_lead() -> None:
    line = Line()
    line.speaker.add(1, ramp(64_000), [])
    assert line.speaker.wants(0.0)
    blocks = line.speaker.take(0.0)
    assert sum(len(block.pcm) for block in blocks) == 2 * PER_MS * LEAD_MS
    assert not line.speaker.wants(0.0)


def test_a_meter_sees_what_is_being_played() -> None:
    line = Line()
    assert line.speaker.playing(250) == b""
    line.speaker.add(1, ramp(64_000), [])
    assert line.speaker.playing(250) == b""
    line.speaker.take(0.0)
    assert line.speaker.playing(50) == ramp(800)
    assert line.speaker.playing(250) == ramp(1600)
    line.speaker.pause(0.0)
    assert line.speaker.playing(250) == b""


@pytest.mark.parametrize("delay", [0, 5, 15])
def test_the_ear_never_runs_dry_and_is_never_far_behind(delay: int) -> None:
    line = Line(delay)
    line.speaker.add(1, ramp(64_000), [])
    line.tick(100)
    ahead = []
    for _ in range(100):
        line.tick()
        ahead.append(line.ear.told.received - line.ear.heard)
    assert min(ahead) > 40 * PER_MS
    assert max(ahead) < (MAX_LEAD_MS + 40) * PER_MS


def test_the_lead_grows_when_it_ran_dry() -> None:
    line = Line()
    line.speaker.add(1, ramp(64_000), [])
    line.speaker.take(0.0)
    for dry in range(1, 9):
        line.speaker.acknowledge(Heard(0, 0, 0, dry), 0.0)
    assert line.speaker.lead_ms == MAX_LEAD_MS
    assert line.speaker.underruns == 8


def test_a_page_that_has_come_back_is_sent_what_it_has_lost() -> None:
    line, whole = Line(), ramp(16_000)
    line.speaker.add(1, whole, [1000.0])
    line.tick(20)
    line.speaker.take(line.now_ms)  # on its way when the socket broke
    line._down.clear()
    line.ear.play(1600)  # what it had goes on
    line.speaker.stop(line.now_ms)
    line._down.append((line.now_ms, line.speaker.epoch))
    line.tick(150)
    assert [line.ear.sum[position] for position in range(16_000)] == np.frombuffer(whole, "<i2").tolist()
    assert line.played[-1] == (1, 1000.0)


@pytest.mark.parametrize(
    "told", [Heard(0, 1, 0, 0), Heard(0, 2000, 2000, 0), Heard(0, 100, 5000, 0)], ids=["order", "heard", "received"]
)
def test_a_page_cannot_have_heard_what_it_was_not_sent(told: Heard) -> None:
    line = Line()
    line.speaker.add(1, ramp(64_000), [])
    line.speaker.take(0.0)
    with pytest.raises(ProtocolError, match="samples"):
        line.speaker.acknowledge(told, 0.0)


@pytest.mark.parametrize("told", [Stopped(1, 2000, 0), Stopped(1, 1600, 1), Stopped(1, 0, 321)])
def test_nor_can_it_stop_there(told: Stopped) -> None:
    line = Line()
    line.speaker.add(1, ramp(64_000), [])
    line.speaker.take(0.0)
    line.speaker.pause(0.0)
    with pytest.raises(ProtocolError, match="stopped after"):
        line.speaker.stopped(told)


def test_each_answer_counts_once_and_none_unasked() -> None:
    line = Line()
    line.speaker.add(1, ramp(64_000), [])
    line.speaker.take(0.0)
    assert line.speaker.stopped(Stopped(0, 0, 0)) == line.speaker.stopped(Stopped(1, 0, 0)) == b""
    line.speaker.pause(0.0)
    line.speaker.pause(0.0)
    assert len(line.speaker.stopped(Stopped(1, 100, 100))) == 400
    assert line.speaker.stopping
    assert line.speaker.acknowledge(Heard(1, 100, 100, 0), 0.0) == b""
    assert line.speaker.stopped(Stopped(1, 100, 100)) == b""
    assert line.speaker.stopped(Stopped(2, 100, 0)) == b""
    assert not line.speaker.stopping
