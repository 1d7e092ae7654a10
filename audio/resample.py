"""From a synthesizer's sample rate to the line's, and between the rates of lines: 8 kHz and, wide-band, 16 kHz.

A whole chunk goes through soxr in one call: its streaming mode would hold back 45–70 ms of audio
in the filter, a whole chunk none. Audio that arrives frame by frame goes through a short half-band filter,
in integers: flat to 3.4 kHz, and 45 dB down from 4.6 kHz on.
"""

import numpy as np
import soxr
from numpy.typing import NDArray

from audio.rate import RATE, WIDE_RATE

REACH = 10  # samples of 8 kHz on each side that make the one between them
UNIT = 14  # bits behind the point of the taps; 32 hold any sum of them


def _between() -> NDArray[np.int32]:
    """The taps of the half-band filter that lie between the samples of 8 kHz, a windowed sinc."""
    at = np.arange(-REACH, REACH) + 0.5  # in samples of 8 kHz
    taps = np.sinc(at) * np.i0(4.4 * np.sqrt(1 - (at / REACH) ** 2))
    return np.asarray(np.rint(taps / taps.sum() * (1 << UNIT)), np.int32)


BETWEEN = _between()


class Downsampler:
    """One stream from 16 to 8 kHz, 1.1 ms late (18 samples of 16 kHz), however it is cut into pieces."""

    def __init__(self) -> None:
        self._past = np.zeros((2 * REACH - 1, 2), np.int32)

    def downsample(self, wide: bytes) -> bytes:
        """16 kHz PCM16 to half as many samples. Raises ValueError for an odd number of samples."""
        pairs = np.frombuffer(wide, "<i2").reshape(-1, 2)
        if not len(pairs):
            return b""
        audio = np.concatenate((self._past, pairs))
        self._past = audio[len(pairs) :]
        doubled = np.correlate(audio[:, 1], BETWEEN) + (audio[REACH : REACH + len(pairs), 0] << UNIT)
        return _to_bytes(doubled, UNIT + 1)


class Upsampler:
    """One stream from 8 to 16 kHz, 1.3 ms late (20 samples of 16 kHz), however it is cut into pieces."""

    def __init__(self) -> None:
        self._past = np.zeros(2 * REACH - 1, np.int32)

    def upsample(self, pcm: bytes) -> bytes:
        """8 kHz PCM16 to twice as many samples."""
        samples = np.frombuffer(pcm, "<i2")
        if not len(samples):
            return b""
        audio = np.concatenate((self._past, samples))
        self._past = audio[len(samples) :]
        pairs = np.empty((len(samples), 2), np.int32)
        pairs[:, 0] = audio[REACH - 1 : REACH - 1 + len(samples)] << UNIT
        pairs[:, 1] = np.correlate(audio, BETWEEN)
        return _to_bytes(pairs, UNIT)


def _to_bytes(values: NDArray[np.int32], shift: int) -> bytes:
    rounded = (values + (1 << (shift - 1))) >> shift
    clipped: NDArray[np.int16] = np.minimum(np.maximum(rounded, -32768), 32767).astype("<i2")
    return clipped.tobytes()


def resample(audio: NDArray[np.float32], rate: int, to: int) -> NDArray[np.float32]:
    """Mono float32 at `rate` Hz to mono float32 at `to` Hz; the length scales with the rates."""
    if rate == to:
        return audio
    # soxr's stub returns Any; the dtype of the input is kept.
    return np.asarray(soxr.resample(audio, rate, to), dtype=np.float32)


def to_pcm16(audio: NDArray[np.float32]) -> bytes:
    """Float32 in -1..1 to 16-bit little-endian PCM; what lies outside is clipped."""
    return (np.clip(audio, -1.0, 1.0) * np.float32(32767.0)).astype("<i2").tobytes()


def to_line(audio: NDArray[np.float32], rate: int, line_rate: int = RATE) -> bytes:
    """A synthesizer's chunk (mono float32 at `rate` Hz) to 16-bit PCM at the line's rate."""
    return to_pcm16(resample(audio, rate, line_rate))


def to_both(audio: NDArray[np.float32], rate: int) -> tuple[bytes, bytes]:
    """The same for a wide-band line, at 8 and at 16 kHz: twice as many samples of the second, exactly."""
    wide = resample(audio, rate, WIDE_RATE)
    wide = wide[: len(wide) // 2 * 2]
    return to_line(wide, WIDE_RATE), to_pcm16(wide)
