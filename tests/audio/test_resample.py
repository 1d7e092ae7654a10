"""From a synthesizer's rate to the line's, and between the rates of lines."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from audio.rate import RATE, WIDE_RATE
from audio.resample import BETWEEN, UNIT, Downsampler, Upsampler, resample, to_both, to_line, to_pcm16


def tone(hertz: float, rate: int, seconds: float = 0.5) -> np.ndarray:
    return (0.5 * np.sin(2 * np.pi * hertz * np.arange(int(rate * seconds)) / rate)).astype(np.float32)


def level_db(pcm: bytes) -> float:
    """The level of a stream's second half, beside a tone's as loud as `tone` makes it."""
    samples = np.frombuffer(pcm, "<i2").astype(float)
    return float(20 * np.log10(np.sqrt(np.mean(samples[len(samples) // 2 :] ** 2)) / (32767 * 0.5 / np.sqrt(2)) + 1e-9))


@pytest.mark.parametrize("rate", [8000, 16_000, 22_050, 24_000])
@pytest.mark.parametrize("line_rate", [RATE, WIDE_RATE])
def test_a_tone_keeps_its_length_level_and_place(rate: int, line_rate: int) -> None:
    line = np.frombuffer(to_line(tone(440, rate), rate, line_rate), "<i2") / 32768
    assert len(line) == pytest.approx(line_rate / 2, abs=1)
    middle = slice(line_rate // 20, line_rate // 2 - line_rate // 20)
    np.testing.assert_allclose(line[middle], tone(440, line_rate)[middle], atol=0.01)


def test_what_a_phone_cannot_carry_is_removed_not_folded_down() -> None:
    assert np.abs(resample(tone(6000, 24_000), 24_000, 8000)[100:-100]).max() < 0.02


def test_too_loud_audio_is_clipped_not_wrapped() -> None:
    assert np.frombuffer(to_pcm16(np.array([1.5, -1.5, 0.0], np.float32)), "<i2").tolist() == [32767, -32767, 0]


@given(length=st.integers(0, 3000), rate=st.sampled_from([8000, 16_000, 22_050, 24_000]))
def test_a_wide_band_line_gets_the_same_at_both_rates(length: int, rate: int) -> None:
    narrow, wide = to_both(tone(700, rate, 1)[:length], rate)
    assert len(wide) == 2 * len(narrow)
    assert len(wide) // 2 == pytest.approx(length * WIDE_RATE / rate, abs=2)


def test_what_a_wide_band_line_gets_is_not_cut_off_at_4_khz() -> None:
    narrow, wide = to_both(tone(6000, 24_000), 24_000)
    assert level_db(wide) == pytest.approx(0, abs=0.1)
    assert level_db(narrow) < -40


def whole(convert: Callable[[bytes], bytes], pcm: bytes, cuts: list[int]) -> bytes:
    """All that comes of `pcm`, given in pieces that end at these bytes."""
    edges = [0, *sorted(cut for cut in cuts if cut < len(pcm)), len(pcm)]
    return b"".join(convert(pcm[begin:end]) for begin, end in pairwise(edges))


@given(pairs=st.binary(max_size=1500).map(lambda data: data[: len(data) // 4 * 4]), data=st.data())
def test_how_a_stream_is_cut_makes_no_difference(pairs: bytes, data: st.DataObject) -> None:
    cuts = data.draw(st.lists(st.integers(0, len(pairs) // 4).map(lambda at: 4 * at), max_size=8))
    narrow = Downsampler().downsample(pairs)
    assert len(narrow) == len(pairs) // 2
    assert whole(Downsampler().downsample, pairs, cuts) == narrow
    wide = Upsampler().upsample(pairs)
    assert len(wide) == 2 * len(pairs)
    assert whole(Upsampler().upsample, pairs, cuts) == wide


def test_half_a_pair_is_refused() -> None:
    with pytest.raises(ValueError, match="reshape"):
        Downsampler().downsample(bytes(6))


@pytest.mark.parametrize("hertz", [50, 300, 1000, 2000, 3000, 3400])
def test_what_a_phone_carries_stays_as_loud(hertz: int) -> None:
    assert level_db(Downsampler().downsample(to_pcm16(tone(hertz, WIDE_RATE)))) == pytest.approx(0, abs=0.1)
    assert level_db(Upsampler().upsample(to_pcm16(tone(hertz, RATE)))) == pytest.approx(0, abs=0.1)


@pytest.mark.parametrize("hertz", [4600, 5000, 6000, 7000, 7900])
def test_what_it_does_not_carry_is_not_folded_down(hertz: int) -> None:
    assert level_db(Downsampler().downsample(to_pcm16(tone(hertz, WIDE_RATE)))) < -45


@pytest.mark.parametrize("hertz", [50, 300, 1000, 2000, 3000, 3400])
def test_a_widened_tone_has_no_image(hertz: int) -> None:
    wide = np.frombuffer(Upsampler().upsample(to_pcm16(tone(hertz, RATE))), "<i2")[800:]
    spectrum = np.abs(np.fft.rfft(wide * np.hanning(len(wide))))
    image = round((RATE - hertz) * len(wide) / WIDE_RATE)
    assert spectrum[image - 5 : image + 6].max() < spectrum.max() * 10 ** (-45 / 20)


def test_the_delays_are_those_that_are_stated() -> None:
    click = np.zeros(400, "<i2")
    click[100] = 20_000
    assert np.abs(np.frombuffer(Downsampler().downsample(click.tobytes()), "<i2")).argmax() == (100 + 18) // 2
    assert np.abs(np.frombuffer(Upsampler().upsample(click.tobytes()), "<i2")).argmax() == 2 * 100 + 20


@pytest.mark.parametrize("convert", [Downsampler().downsample, Upsampler().upsample])
def test_the_loudest_audio_is_clipped_not_wrapped(convert: Callable[[bytes], bytes]) -> None:
    loud = np.random.default_rng(0).choice(np.array([-32768, 32767], "<i2"), 8000)
    out = np.frombuffer(convert(loud.tobytes()), "<i2")
    assert (out.min(), out.max()) == (-32768, 32767)
    out = np.frombuffer(convert(np.full(1000, 32767, "<i2").tobytes()), "<i2")
    assert out[-50:].min() > 32700


def test_no_sum_of_the_filter_overflows() -> None:
    taps = np.abs(BETWEEN.astype(int)).sum() + (1 << UNIT)  # of a pair of samples
    assert 32768 * taps + (1 << UNIT) < 1 << 31
