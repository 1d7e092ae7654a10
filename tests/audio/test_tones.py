"""Keys as tones: what an exchange would find in them, how loud and how long they are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from audio import g711
from audio.tones import COLUMNS, KEYS, ROWS, tones
from config.keys import duration_ms
from tests.audio.goertzel import goertzel, heard_keys


def samples(pcm: bytes) -> np.ndarray:
    return np.frombuffer(pcm, "<i2").astype(np.float64)


@pytest.mark.parametrize("rate", [8000, 16_000])
def test_every_key_is_found_after_the_line_and_no_other(rate: int) -> None:
    pcm = tones(KEYS, rate)
    assert heard_keys(pcm, rate) == KEYS
    assert heard_keys(g711.decode(g711.encode(pcm)), rate) == KEYS


@settings(max_examples=25, deadline=None)
@given(st.text("0123456789*#ABCDwW", min_size=1, max_size=8))
def test_keys_come_in_order_the_same_ones_too_and_take_the_time_that_is_told(keys: str) -> None:
    pcm = tones(keys)
    assert len(pcm) == 16 * duration_ms(keys)
    assert heard_keys(pcm) == keys.replace("w", "").replace("W", "")


@pytest.mark.parametrize("rate", [8000, 16_000])
def test_a_key_is_two_tones_of_8_db_below_full_scale_for_100_ms_and_silent_for_60(rate: int) -> None:
    pcm = samples(tones("6", rate))
    sounding = rate // 10
    assert np.abs(pcm[:sounding]).max() <= 32767 * 0.8
    middle = pcm[rate // 100 : sounding - rate // 100]
    for hertz in (ROWS[1], COLUMNS[2]):
        assert 20 * np.log10(goertzel(middle, hertz, rate) / 32768) == pytest.approx(-8, abs=0.3)
    assert not pcm[sounding:].any()
    assert len(pcm) - sounding == rate * 60 // 1000
    edges = pcm[: rate // 2000], pcm[sounding - rate // 2000 : sounding]  # half a millisecond: it does not click
    assert max(np.abs(edge).max() for edge in edges) < 4000


def test_the_detector_hears_no_keys_where_there_are_none() -> None:
    noise = np.random.default_rng(1).normal(0, 3000, 16_000).astype("<i2").tobytes()
    one_tone = (9000 * np.sin(2 * np.pi * 770 * np.arange(8000) / 8000)).astype("<i2").tobytes()
    assert heard_keys(noise) == heard_keys(one_tone) == heard_keys(bytes(8000)) == ""
