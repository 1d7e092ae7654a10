import numpy as np
import pytest

from agent.engine.realtime.upsample import DELAY, Upsampler
from audio.rate import RATE, WIDE_RATE
from tests.agent.engine.realtime.hearing import blocks, tones


def tone(hertz: float, rate: int, seconds: float = 0.5) -> np.ndarray:
    return 0.5 * np.sin(2 * np.pi * hertz * np.arange(int(seconds * rate)) / rate)


@pytest.mark.parametrize("hertz", [200, 1000, 2000, 3400])
def test_a_tone_stays_what_it_is(hertz: float) -> None:
    doubled = Upsampler().feed((tone(hertz, 8000) * 32767).astype("<i2").tobytes())
    expected = tone(hertz, 16000)
    assert len(doubled) == len(expected)
    assert np.abs(doubled[DELAY + 200 :] - expected[200:-DELAY]).max() < 0.002


def test_nothing_appears_above_the_line_s_band() -> None:
    spectrum = np.abs(np.fft.rfft(Upsampler().feed(tones(1)) * 1.0))
    hertz = np.fft.rfftfreq(2 * len(tones(1)) // 2, 1 / 16000)
    assert np.sum(spectrum[hertz > 4600] ** 2) < 1e-4 * np.sum(spectrum[hertz < 3600] ** 2)


@pytest.mark.parametrize("sizes", [(2,), (320,), (3200,), (2, 46, 3200, 62)])
def test_blocks_make_no_difference(sizes: tuple[int, ...]) -> None:
    pcm = tones(2, 0.5)
    upsampler = Upsampler()
    pieces = np.concatenate([upsampler.feed(piece) for piece in blocks(pcm, *sizes)])
    np.testing.assert_allclose(pieces, Upsampler().feed(pcm), atol=1e-7)


@pytest.mark.parametrize("rate", [RATE, WIDE_RATE])
def test_nothing_in_nothing_out(rate: int) -> None:
    assert len(Upsampler(rate).feed(b"")) == 0


def test_16_khz_stays_what_it_is_without_delay() -> None:
    pcm = tones(3, 0.5, WIDE_RATE)
    upsampler = Upsampler(WIDE_RATE)
    assert upsampler.delay == 0
    assert np.array_equal(upsampler.feed(pcm) * 32768, np.frombuffer(pcm, "<i2"))
