"""Frames by the clock, however the ticks come."""

from itertools import pairwise
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from telephony.lines.pacer import Pacer


def test_every_second_tick_is_a_frames() -> None:
    even, odd = Pacer(), Pacer(odd=True)
    ticks = [(even.frames(10 * n), odd.frames(10 * n)) for n in range(6)]
    assert ticks == [(1, 0), (0, 1)] * 3


def test_ticks_that_tremble_make_no_gap_of_30_ms() -> None:
    random = Random(1)
    pacer = Pacer()
    sent = [at for n in range(5000) if pacer.frames(at := 10 * n + random.uniform(0, 4.9))]
    assert len(sent) == 2500
    assert all(15 < b - a < 25 for a, b in pairwise(sent))


@given(first=st.floats(0, 9.9), seed=st.integers(0, 1000))
def test_whenever_the_first_tick_came_the_others_keep_their_distance(first: float, seed: int) -> None:
    random = Random(seed)
    pacer = Pacer()
    pacer.frames(first)
    sent = [at for n in range(1, 1000) if pacer.frames(at := 10 * n + random.uniform(0, 3))]
    assert all(15 < b - a < 25 for a, b in pairwise(sent[100:]))


@given(st.lists(st.floats(1, 190), min_size=1, max_size=100))
def test_what_was_missed_is_made_up_for(pauses: list[float]) -> None:
    """The number of frames is that of the time that has passed, to the frame."""
    pacer, now, frames = Pacer(), 0.0, 0
    for pause in [0.0, *pauses]:
        now += pause
        frames += pacer.frames(now)
    assert abs(frames - 1 - now / 20) <= 1


def test_after_a_long_stall_it_begins_anew() -> None:
    pacer = Pacer()
    pacer.frames(0)
    assert pacer.frames(1000) == 1
    assert pacer.frames(1010) == 0
    assert pacer.frames(1020) == 1
