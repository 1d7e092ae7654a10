"""Concealment and splicing: no clicks, no surprises."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from telephony.rtp.conceal import FADE, MAX_LAG, MIN_LAG, conceal, splice


def voice(count: int, hz: float = 137) -> np.ndarray:
    t = np.arange(count) / 8000
    return (6000 * np.sin(2 * np.pi * hz * t) + 2500 * np.sin(4 * np.pi * hz * t + 1)).astype("<i2")


@pytest.mark.parametrize("hz", [75, 110, 137, 190, 260])
def test_a_voice_goes_on_at_its_pitch_and_fades_out_over_60_ms(hz: float) -> None:
    whole = voice(320 + 640, hz)
    made = np.frombuffer(conceal(whole[:320].tobytes(), 640), "<i2").astype(float)
    assert len(made) == 640
    assert np.corrcoef(made[:160], whole[320:480])[0, 1] > 0.9
    loudness = [np.abs(made[n : n + 160]).max() for n in range(0, 480, 160)]
    assert loudness == sorted(loudness, reverse=True)
    assert not made[FADE:].any()


@given(st.binary(min_size=640, max_size=700), st.integers(0, 700))
def test_any_audio_gives_as_many_samples_as_were_asked_for(noise: bytes, n: int) -> None:
    previous = noise[: len(noise) // 2 * 2]
    made = conceal(previous, n)
    assert len(made) == 2 * n
    loudest = np.abs(np.frombuffer(previous[-640:], "<i2").astype(int)).max()
    assert not n or np.abs(np.frombuffer(made, "<i2").astype(int)).max() <= loudest


def test_without_enough_to_go_by_there_is_silence() -> None:
    assert conceal(b"\1\1" * 319, 160) == bytes(320)


@pytest.mark.parametrize("longer", [True, False])
def test_a_splice_fits_and_says_what_it_used(longer: bool) -> None:
    whole = voice(240)
    frame, used = splice(whole.tobytes(), longer)
    assert len(frame) == 320
    assert MIN_LAG <= abs(used - 160) <= MAX_LAG
    assert (used < 160) is longer
    heard = np.frombuffer(frame, "<i2").astype(int)
    # It begins and ends as the original does, so what comes before and after joins on; nothing jumps between.
    assert heard[:80].tolist() == whole[:80].tolist()
    assert heard[-40:].tolist() == whole[used - 40 : used].tolist()
    assert np.abs(np.diff(heard)).max() <= 1.2 * np.abs(np.diff(whole.astype(int))).max()
