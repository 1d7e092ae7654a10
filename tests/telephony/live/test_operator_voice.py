"""An operator's voice: it comes in bursts, and leaves at the call's pace."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.live.operator_voice import AHEAD_MS, MOST_MS, OperatorVoice


def sound(ms: int, begin: int = 1) -> bytes:
    return (np.arange(8 * ms) % 30_000 + begin).astype("<i2").tobytes()


def test_it_begins_once_a_little_of_it_is_there_and_then_keeps_pace() -> None:
    voice = OperatorVoice(wide=False)
    voice.put(sound(AHEAD_MS - 1))
    assert voice.take(20) == (b"", b"")
    voice.put(sound(300))
    first, _ = voice.take(20)
    assert len(first) == 16 * (20 + AHEAD_MS // 2)
    assert len(voice.take(20)[0]) == 320


def test_when_it_runs_dry_it_begins_anew() -> None:
    voice = OperatorVoice(wide=False)
    voice.put(sound(100))
    assert b"".join(voice.take(20)[0] for _ in range(5)) == sound(100)
    voice.put(sound(60))
    assert voice.take(20) == (b"", b"")


def test_what_comes_too_fast_drops_the_oldest() -> None:
    voice = OperatorVoice(wide=False)
    whole = sound(2 * MOST_MS)
    voice.put(whole)
    assert voice.dropped_ms == MOST_MS
    assert voice.take(2 * MOST_MS)[0] == whole[16 * MOST_MS :]


def test_on_a_wide_band_line_it_is_there_at_both_rates() -> None:
    voice = OperatorVoice(wide=True)
    voice.put(sound(400))  # 200 ms at 16 kHz
    narrow, wide = voice.take(20)
    assert (len(narrow), len(wide)) == (960, 1920)


@pytest.mark.parametrize("wide", [False, True])
@given(pieces=st.lists(st.tuples(st.integers(0, 100), st.integers(0, 60)), max_size=40))
def test_however_it_comes_it_is_bounded_and_in_order(wide: bool, pieces: list[tuple[int, int]]) -> None:
    voice, given_ms, taken, number = OperatorVoice(wide=wide), 0.0, b"", 1
    per_ms = 32 if wide else 16
    for put_ms, take_ms in pieces:
        samples = np.arange(number, number + put_ms * per_ms // 2) % 30_000
        number += len(samples)
        voice.put(samples.astype("<i2").tobytes())
        given_ms += put_ms
        narrow, broad = voice.take(take_ms)
        taken += broad if wide else narrow
        assert len(voice._waiting) <= MOST_MS * per_ms
        assert len(narrow) * (2 if wide else 1) == len(broad if wide else narrow)
    assert len(taken) / per_ms <= given_ms
    if not voice.dropped_ms:
        assert taken == (np.arange(1, 1 + len(taken) // 2) % 30_000).astype("<i2").tobytes()
