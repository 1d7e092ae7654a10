"""Noise that goes on is taken out; speech, which comes and goes, is not."""

import numpy as np
import pytest

from agent.engine.base import FloatArray
from agent.engine.embedded.noise import FLOOR, reduced

RATE = 16_000


def noise(seconds: float, level: float) -> FloatArray:
    return (level * np.random.default_rng(1).standard_normal(int(seconds * RATE))).astype(np.float32)


def bursts(seconds: float) -> FloatArray:
    """A tone that is there for half of each 400 ms."""
    at = np.arange(int(seconds * RATE)) / RATE
    return (0.3 * np.sin(2 * np.pi * 440 * at) * (at % 0.4 < 0.2)).astype(np.float32)


def rms(audio: FloatArray) -> float:
    return float(np.sqrt(np.mean(audio**2)))


@pytest.mark.parametrize("samples", [0, 1, 100, 4000, 16_001])
def test_it_stays_as_long_and_silence_stays_silence(samples: int) -> None:
    found = reduced(np.zeros(samples, np.float32))
    assert (len(found), found.dtype) == (samples, np.float32)
    assert not found.any()


def test_what_is_quiet_in_between_is_untouched() -> None:
    clean = bursts(2)
    assert np.abs(reduced(clean) - clean).max() < 1e-6


def test_noise_alone_becomes_softer_and_is_never_gone() -> None:
    sound = noise(3, 0.02)
    assert FLOOR * rms(sound) < rms(reduced(sound)) < rms(sound)


def test_bursts_in_noise_stand_out_more() -> None:
    clean, line = bursts(3), noise(3, 0.02)
    before, after = clean + line, reduced(clean + line)
    speaking = np.abs(clean) > 0
    quiet = np.convolve(speaking, np.ones(2001), "same") == 0
    assert rms(after[quiet]) < 0.8 * rms(before[quiet])
    assert rms(after[speaking]) == pytest.approx(rms(before[speaking]), rel=0.02)
    assert rms(after - clean) < 0.8 * rms(before - clean)
