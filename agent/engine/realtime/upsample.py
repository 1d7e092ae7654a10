"""The caller's 8 kHz to the 16 kHz the model hears, block by block, 2 ms late. Audio at 16 kHz stays as it is."""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from agent.engine.base import FloatArray
from audio.rate import RATE

TAPS = 32  # of the half-band filter for the samples in between, at 8 kHz
DELAY = TAPS  # samples at 16 kHz by which the output lags


def _half_band() -> FloatArray:
    """A windowed sinc between the samples: flat to 3.5 kHz, images above 4.5 kHz 60 dB down."""
    distance = np.arange(TAPS) - TAPS / 2 + 0.5
    taps = np.sinc(distance) * np.kaiser(TAPS, 5.65)
    return np.asarray(taps / taps.sum(), np.float32)


HALF_BAND = _half_band()


class Upsampler:
    """One stream; the result does not depend on the size of its blocks."""

    def __init__(self, rate: int = RATE) -> None:
        self.delay = DELAY if rate == RATE else 0  # samples of 16 kHz
        self._past: FloatArray = np.zeros(TAPS - 1, np.float32)

    def feed(self, pcm: bytes) -> FloatArray:
        """PCM16 to samples of 16 kHz, float32 in -1..1: of 8 kHz twice as many."""
        samples: FloatArray = np.frombuffer(pcm, "<i2").astype(np.float32) / np.float32(32768)
        if not self.delay:
            return samples
        audio: FloatArray = np.concatenate((self._past, samples))
        self._past = audio[len(samples) :]
        doubled = np.empty(2 * len(samples), np.float32)
        doubled[0::2] = audio[TAPS // 2 - 1 : TAPS // 2 - 1 + len(samples)]
        doubled[1::2] = sliding_window_view(audio, TAPS) @ HALF_BAND if len(samples) else ()
        return doubled
