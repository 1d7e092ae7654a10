"""From a synthesizer's sample rate to the line's.

A whole chunk goes through soxr in one call: its streaming mode would withhold 45–70 ms of audio
in the filter, a chunk at once withholds none.
"""

import numpy as np
import soxr
from numpy.typing import NDArray


def resample(audio: NDArray[np.float32], rate: int, to: int) -> NDArray[np.float32]:
    """Mono float32 at `rate` Hz to mono float32 at `to` Hz; the length scales with the rates."""
    if rate == to:
        return audio
    # soxr's stub returns Any; the dtype of the input is kept.
    return np.asarray(soxr.resample(audio, rate, to), dtype=np.float32)


def to_pcm16(audio: NDArray[np.float32]) -> bytes:
    """Float32 in -1..1 to 16-bit little-endian PCM; what lies outside is clipped."""
    return (np.clip(audio, -1.0, 1.0) * np.float32(32767.0)).astype("<i2").tobytes()


def to_line(audio: NDArray[np.float32], rate: int, line_rate: int = 8000) -> bytes:
    """A synthesizer's chunk (mono float32 at `rate` Hz) to 16-bit PCM at the line's rate."""
    return to_pcm16(resample(audio, rate, line_rate))
