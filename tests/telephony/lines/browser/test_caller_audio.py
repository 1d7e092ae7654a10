"""The caller's audio by its sequence: any order, duplicates, holes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.lines.browser.caller_audio import CallerAudio
from telephony.lines.browser.messages import Frame, Heard
from telephony.lines.exceptions import ProtocolError

NOTHING = Heard(0, 0, 0, 0)
MAX_GAP_MS = 6000


def frame(sequence: int, samples: int = 320) -> Frame:
    """Samples that tell their place."""
    pcm = ((np.arange(samples) + sequence) % 30_000 + 1).astype("<i2").tobytes()
    return Frame(sequence, pcm, NOTHING)


@given(st.lists(st.tuples(st.integers(0, 40_000).map(lambda n: 2 * n), st.integers(1, 800).map(lambda n: 2 * n))))
def test_every_sample_stands_in_its_place_or_is_silence(frames: list[tuple[int, int]]) -> None:
    caller, heard = CallerAudio(MAX_GAP_MS), b""
    for sequence, samples in frames:
        try:
            piece = caller.take(frame(sequence, samples))
        except ProtocolError:
            continue
        if piece is not None:
            heard += bytes(2 * piece.gap) + piece.pcm
        assert len(heard) == 2 * caller.received
        assert caller.received % 2 == 0
    for place, sample in enumerate(np.frombuffer(heard, "<i2").tolist()):
        assert sample in (0, place % 30_000 + 1)


def test_a_hole_becomes_silence_and_is_counted() -> None:
    caller = CallerAudio(MAX_GAP_MS)
    caller.take(frame(0))
    piece = caller.take(frame(960))
    assert piece is not None
    assert piece.gap == 640
    assert (caller.counters.gaps, caller.counters.gap_ms, caller.counters.frames) == (1, 40, 2)


def test_what_came_before_is_dropped_or_cut() -> None:
    caller = CallerAudio(MAX_GAP_MS)
    caller.take(frame(0, 640))
    assert caller.take(frame(0, 640)) is None
    assert caller.take(frame(0, 320)) is None
    piece = caller.take(frame(320, 640))
    assert piece is not None
    assert piece.pcm == frame(640).pcm
    assert (caller.counters.duplicates, caller.counters.late) == (2, 1)


def test_too_early_and_too_late_are_refused() -> None:
    caller = CallerAudio(MAX_GAP_MS)
    with pytest.raises(ProtocolError, match=r"a gap of 6\.1 s in the audio; 6 s is the most"):
        caller.take(frame(16_000 * 61 // 10))
    caller.take(frame(16_000 * 3))
    with pytest.raises(ProtocolError, match=r"3\.0 s late"):
        caller.take(frame(0))
