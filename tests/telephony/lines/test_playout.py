"""Playout: at most the lead with the carrier, everything in order, heard only what marks say."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from bench.carrier import Carrier
from config.settings import PlayoutSettings
from telephony.lines.playout import Mark, Playout

SETTINGS = PlayoutSettings(lead_ms=240, block_ms=80, mark_grace_ms=1000)


def pcm(ms: float, value: int = 1) -> bytes:
    return value.to_bytes(2, "little") * round(8 * ms)


def audio_ms(items: list[bytes | Mark]) -> float:
    return sum(len(item) / 16 for item in items if isinstance(item, bytes))


def test_the_first_audio_goes_at_once_up_to_the_lead_then_a_block_at_a_time() -> None:
    playout = Playout(SETTINGS)
    playout.add(1, pcm(1000), [])
    assert audio_ms(playout.take(5000)) == 240
    assert playout.due_ms == 5080
    assert playout.take(5079) == []
    assert audio_ms(playout.take(5080)) == 80
    assert audio_ms(playout.take(5300)) == 160  # two were due: a late tick is made up for
    assert playout.underruns == 0


def test_blocks_end_at_marks_that_are_about_a_block_away() -> None:
    playout = Playout(SETTINGS)
    playout.add(1, pcm(400), [100, 300])
    items = playout.take(0)
    assert [len(item) / 16 if isinstance(item, bytes) else item.name for item in items] == [100, "1.0.800", 80]
    names = [item.name for item in playout.take(300) if isinstance(item, Mark)]
    assert names == ["1.0.2400"]


def test_a_meter_is_given_what_is_being_played_and_nothing_once_that_is_over() -> None:
    playout = Playout(SETTINGS)
    assert playout.recent(0, 250) == b""
    playout.add(1, pcm(100) + pcm(100, 2), [])
    playout.take(0)
    assert playout.recent(10, 50) == pcm(50, 2)
    assert playout.recent(10, 250) == pcm(100) + pcm(100, 2)
    assert playout.recent(200, 250) == b""
    playout.pause(100)
    assert playout.recent(110, 250) == b""


def test_a_last_mark_without_audio_is_sent_too() -> None:
    playout = Playout(SETTINGS)
    playout.add(1, pcm(80), [])
    assert audio_ms(playout.take(0)) == 80
    assert playout.due_ms == math.inf
    playout.add(1, b"", [80])
    assert playout.due_ms <= 80
    assert [item.name for item in playout.take(10) if isinstance(item, Mark)] == ["1.0.640"]


def test_running_dry_in_the_middle_of_a_reply_is_an_underrun_and_a_new_reply_is_none() -> None:
    playout = Playout(SETTINGS)
    playout.add(1, pcm(80), [80])
    playout.take(0)
    playout.add(2, pcm(80), [80])
    playout.take(1000)
    assert playout.underruns == 0
    assert playout.dry_ms == 0
    playout.add(2, pcm(80), [160])
    playout.take(1100)
    assert (playout.underruns, playout.dry_ms) == (1, 20)
    playout.take(1110)
    assert (playout.underruns, playout.dry_ms) == (1, 0)


def test_a_pause_takes_back_what_the_clock_says_was_not_heard() -> None:
    playout = Playout(SETTINGS)
    playout.add(1, pcm(500), [100, 200, 300])
    playout.take(0)
    assert playout.returned("1.0.800", 100) == (1, 100)
    fade, heard_ms = playout.pause(150)
    assert heard_ms == 150
    assert len(fade) == 20 * 16
    assert playout.returned("1.0.1600", 151) is None  # Twilio returns it at the clear; nobody heard it
    assert playout.take(1000) == []
    assert playout.due_ms == math.inf
    playout.resume(1000)
    names = [item.name for item in playout.take(1000) if isinstance(item, Mark)]
    assert names == ["1.1.1600", "1.1.2400"]
    assert playout.underruns == 0


def test_a_dropped_reply_is_forgotten() -> None:
    playout = Playout(SETTINGS)
    playout.add(1, pcm(500), [100])
    playout.take(0)
    playout.pause(50)
    playout.drop()
    assert playout.take(1000) == []
    playout.add(2, pcm(80), [80])
    assert audio_ms(playout.take(1000)) == 80


def test_marks_that_come_late_say_that_the_ear_is_behind() -> None:
    playout = Playout(SETTINGS)
    playout.add(1, pcm(2000), [80 * number for number in range(1, 26)])
    playout.take(0)
    playout.returned("1.0.640", 90)  # 10 ms there and back
    playout.take(100)
    playout.returned("1.0.1280", 260)  # the network stood still for 90 ms
    assert playout.pause(260)[1] == 260 - 90


def test_a_mark_that_should_have_come_back_holds_the_ear_where_it_is() -> None:
    playout = Playout(SETTINGS)
    playout.add(1, pcm(2000), [80 * number for number in range(1, 26)])
    playout.take(0)
    playout.returned("1.0.640", 90)
    assert playout.pause(220)[1] == 160


@pytest.mark.parametrize("per_ms", [8, 16], ids=["8 kHz", "16 kHz"])
@pytest.mark.parametrize("delay", [0, 35])
@hypothesis_settings(max_examples=40, deadline=None)
@given(
    pauses=st.lists(st.tuples(st.integers(1, 60), st.integers(0, 40)), min_size=1, max_size=25),
    marks=st.lists(st.integers(20, 400), max_size=30),
)
def test_no_sample_is_lost_or_doubled_however_often_it_pauses(
    delay: int, per_ms: int, pauses: list[tuple[int, int]], marks: list[int]
) -> None:
    carrier = Carrier(Playout(SETTINGS, 1000 * per_ms), delay, per_ms)
    sound = np.random.default_rng(len(pauses)).integers(-20_000, 20_000, per_ms * 3000).astype("<i2")
    carrier.playout.add(1, sound.tobytes(), list(itertools.accumulate(marks)))
    for play_ms, pause_ms in pauses:
        carrier.run(play_ms)
        carrier.pause(pause_ms)
    carrier.run(100)
    carrier.run(4000, step=5)
    heard = np.zeros(len(sound) + 1000 * per_ms, np.int64)
    for position, samples in carrier.ear():
        heard[position : position + len(samples)] += samples
    assert np.array_equal(heard[: len(sound)], sound)
    assert not heard[len(sound) :].any()


def test_on_a_wide_band_line_everything_is_exact_to_its_samples() -> None:
    playout = Playout(SETTINGS, 16_000)
    playout.add(1, b"\1\0" * 16 * 500, [100.0625, 200])
    first, *_ = playout.take(0)
    assert isinstance(first, bytes)
    assert len(first) == 2 * 1601
    assert playout.next_at[0] == 16 * 200  # the next block ends at the next mark
    assert playout.returned("1.0.1601", 100.0625) == (1, 100.0625)
    fade, heard_ms = playout.pause(150)
    assert (len(fade), heard_ms) == (2 * 16 * 20, 150)


def test_a_mark_overtaken_by_a_later_one_and_a_strangers() -> None:
    playout = Playout(SETTINGS)
    playout.add(1, pcm(240), [80, 160, 240])
    playout.take(0)
    assert playout.returned("nonsense", 0) is None
    assert playout.returned("1.0.1280", 0) == (1, 160)
    assert playout.returned("1.0.640", 0) is None
    assert playout.lost_marks == 1


def test_marks_that_never_come_are_given_up() -> None:
    playout = Playout(SETTINGS)
    playout.add(1, pcm(80), [80])
    playout.take(0)
    assert playout.overdue(1080) is None
    assert playout.overdue(1081) == (1, 80)
    assert playout.lost_marks == 1


class AnyOrder(RuleBasedStateMachine):
    """Audio, marks, drops and time in any order."""

    def __init__(self) -> None:
        super().__init__()
        self.playout = Playout(SETTINGS)
        self.now = 0.0
        self.reply = 0
        self.added = self.taken = b""
        self.marks: list[str] = []
        self.heard = 0.0
        self.playing_until = 0.0
        self.counter = 0

    @rule(ms=st.integers(1, 400), new=st.booleans(), marks=st.lists(st.floats(0, 1), max_size=3))
    def add(self, ms: int, new: bool, marks: list[float]) -> None:
        if new or not self.reply:
            self.flush()
            self.reply += 1
            self.added = self.taken = b""
            self.heard = 0.0
            self.marks = []
        start = len(self.added) / 16
        self.counter = (self.counter + 1) % 30_000
        audio = pcm(ms, self.counter + 1)
        self.playout.add(self.reply, audio, sorted(start + ms * part for part in marks))
        self.added += audio

    def flush(self) -> None:
        """A new reply begins only when the one before was taken whole, or dropped."""
        self.now += 100_000
        while self.playout.due_ms < math.inf:
            self.take()
            self.now += 1000

    @rule(ms=st.floats(0, 300))
    def wait(self, ms: float) -> None:
        self.now += ms
        self.take()

    @rule()
    def take(self) -> None:
        items = self.playout.take(self.now)
        for item in items:
            if isinstance(item, Mark):
                self.marks.append(item.name)
                assert item.position <= len(self.taken) / 2 + 1
            else:
                self.taken += item
                self.playing_until = max(self.playing_until, self.now) + len(item) / 16
                assert 0 < len(item) / 16 <= 120
        assert self.playing_until - self.now <= 240 + 1e-6 or not items

    @precondition(lambda self: self.marks)
    @rule(data=st.data())
    def mark(self, data: st.DataObject) -> None:
        name = self.marks.pop(data.draw(st.integers(0, len(self.marks) - 1)))
        heard = self.playout.returned(name, self.now)
        if heard:
            assert heard[0] == self.reply
            assert self.heard <= heard[1] <= len(self.taken) / 16
            self.heard = heard[1]

    @rule()
    def pause_and_drop(self) -> None:
        _, heard_ms = self.playout.pause(self.now)
        assert self.heard <= heard_ms <= len(self.taken) / 16
        self.playout.drop()
        self.reply += 1
        self.added = self.taken = b""
        self.heard = 0.0
        self.playing_until = self.now

    @invariant()
    def what_was_taken_is_a_beginning_of_what_was_added(self) -> None:
        assert self.added.startswith(self.taken)


TestAnyOrder = AnyOrder.TestCase
TestAnyOrder.settings = hypothesis_settings(max_examples=60, stateful_step_count=40, deadline=None)


@pytest.mark.parametrize("lead", [100, 159])
def test_a_lead_too_small_for_the_block_is_refused(lead: int) -> None:
    with pytest.raises(ValueError, match="twice block_ms"):
        PlayoutSettings(lead_ms=lead, block_ms=80)
