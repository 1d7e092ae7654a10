"""Concealment and splicing: no clicks, no surprises."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio.rate import NARROW, WIDE, Rate
from telephony.lines.rtp.conceal import FADE_MS, MAX_LAG_MS, MIN_LAG_MS, conceal, fade_out, splice

RATES = pytest.mark.parametrize("rate", [NARROW, WIDE], ids=["8 kHz", "16 kHz"])


def voice(count: int, hz: float = 137, rate: Rate = NARROW) -> np.ndarray:
    t = np.arange(count) / rate.hz
    return (6000 * np.sin(2 * np.pi * hz * t) + 2500 * np.sin(4 * np.pi * hz * t + 1)).astype("<i2")


@RATES
@pytest.mark.parametrize("hz", [75, 110, 137, 190, 260])
def test_a_voice_goes_on_at_its_pitch_and_fades_out_over_60_ms(hz: float, rate: Rate) -> None:
    frame = rate.frame
    whole = voice(6 * frame, hz, rate)
    made = np.frombuffer(conceal(whole[: 2 * frame].tobytes(), 4 * frame, rate), "<i2").astype(float)
    assert len(made) == 4 * frame
    assert np.corrcoef(made[:frame], whole[2 * frame : 3 * frame])[0, 1] > 0.9
    loudness = [np.abs(made[n : n + frame]).max() for n in range(0, 3 * frame, frame)]
    assert loudness == sorted(loudness, reverse=True)
    assert not made[FADE_MS * rate.per_ms :].any()


@given(st.binary(min_size=640, max_size=700), st.integers(0, 700))
def test_any_audio_gives_as_many_samples_as_were_asked_for(noise: bytes, n: int) -> None:
    previous = noise[: len(noise) // 2 * 2]
    made = conceal(previous, n)
    assert len(made) == 2 * n
    loudest = np.abs(np.frombuffer(previous[-640:], "<i2").astype(int)).max()
    assert not n or np.abs(np.frombuffer(made, "<i2").astype(int)).max() <= loudest


def test_without_enough_to_go_by_there_is_silence() -> None:
    assert conceal(b"\1\1" * 319, 160) == bytes(320)


@RATES
@pytest.mark.parametrize("longer", [True, False])
def test_a_splice_fits_and_says_what_it_used(longer: bool, rate: Rate) -> None:
    frame, part = rate.frame, rate.frame // 4
    whole = voice(3 * frame // 2, rate=rate)
    made, used = splice(whole.tobytes(), longer, rate)
    assert len(made) == 2 * frame
    assert MIN_LAG_MS <= abs(used - frame) / rate.per_ms <= MAX_LAG_MS
    assert (used < frame) is longer
    heard = np.frombuffer(made, "<i2").astype(int)
    # It begins and ends as the original does, so what comes before and after joins on; nothing jumps between.
    assert heard[: 2 * part].tolist() == whole[: 2 * part].tolist()
    assert heard[-part:].tolist() == whole[used - part : used].tolist()
    assert np.abs(np.diff(heard)).max() <= 1.2 * np.abs(np.diff(whole.astype(int))).max()


def test_fading_out_begins_where_it_was_and_ends_in_silence() -> None:
    loud = np.full(160, 10_000, "<i2").tobytes()
    faded = np.frombuffer(fade_out(loud), "<i2").astype(int)
    assert (len(faded), faded[0]) == (160, 10_000)
    assert 0 <= faded[-1] < 100
    assert (np.diff(faded) < 0).all()
    assert fade_out(b"") == b""
