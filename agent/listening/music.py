"""Whether the line carries music or a tone rather than somebody speaking. Sans-I/O.

The voice detector takes single notes for syllables, some hundred milliseconds at a time. What tells them from a word is
what follows: after a word the line is quiet, after a note the music goes on as loud as before, with a spectrum full of
lines, unlike that of noise. Nothing is computed until it is asked for.
"""

from collections import deque

import numpy as np

from agent.engine.base import FloatArray
from audio.rate import BYTES_PER_MS, RATE

FRAMES = 125  # kept, 2.5 s
SIZE, HOP = 512, 256  # samples of a window, and from one to the next
LOWEST, HIGHEST = 10, 230  # of its spectrum, in steps of 15.6 Hz: 156 to 3594 Hz
AROUND = 10  # steps to either side that a line stands out of
LINES, LINES_DB = 5, 10.0  # how many lines, and by how much they stand out on average: 7 in noise, 15 to 40 in music
TONES, TONES_SHARE = 2, 0.9  # how many lines have this share of the energy of a dial, ringing or key tone

_WINDOW = np.hanning(SIZE).astype(np.float32)


class Music:
    """The last frames of one call, 8 kHz mono PCM16. Where one is asked for a time, `now_ms` is the end of the last."""

    def __init__(self) -> None:
        self._frames: deque[bytes] = deque(maxlen=FRAMES)
        self.add = self._frames.append  # the next frame; as cheap as can be, since every frame of every call comes here
        self.forget = self._frames.clear

    def share(self, start_ms: float, end_ms: float, level: float, now_ms: float) -> float:
        """How much of a time was at least as loud as `level` (RMS, 0..32768) and full of lines, 0..1."""
        spectra = self._spectra(now_ms - start_ms, now_ms - end_ms)
        if spectra is None:
            return 0.0
        windows, power = spectra
        loud = np.sqrt((windows**2).mean(axis=1)) >= level
        return float(np.mean(loud & (_prominence(power) >= LINES_DB)))

    def is_tone(self) -> bool:
        """Whether the last 64 ms are no more than two sines."""
        spectra = self._spectra(1000 * SIZE / RATE, 0.0)
        if spectra is None:
            return False
        power = spectra[1][-1, LOWEST - 2 : HIGHEST + 10]
        total, lines = float(power.sum()), 0.0
        for _ in range(TONES):
            top = int(power.argmax())
            line = power[max(0, top - 2) : top + 3]
            lines += float(line.sum())
            line[:] = 0
        return lines >= TONES_SHARE * total > 0

    def _spectra(self, from_ms: float, to_ms: float) -> tuple[FloatArray, FloatArray] | None:
        """Windows (n, SIZE) of the samples between two times ago, and their power (n, SIZE / 2 + 1); None when there
        are none."""
        audio = b"".join(self._frames)
        first = len(audio) - round(from_ms * BYTES_PER_MS / 2) * 2
        last = len(audio) - round(to_ms * BYTES_PER_MS / 2) * 2
        samples = np.frombuffer(audio[max(0, first) : max(0, last)], "<i2").astype(np.float32)
        if len(samples) < SIZE:
            return None
        windows = np.lib.stride_tricks.sliding_window_view(samples, SIZE)[::HOP]
        power = np.abs(np.fft.rfft(windows * _WINDOW, axis=1)) ** 2
        return windows, power.astype(np.float32)


def _prominence(power: FloatArray) -> FloatArray:
    """By how many dB the strongest lines of each spectrum stand out of what is around them."""
    levels = 10 * np.log10(power[:, LOWEST - AROUND : HIGHEST + AROUND] + 1.0)  # 1.0 is far below one bit
    sums = np.cumsum(np.pad(levels, ((0, 0), (1, 0))), axis=1)
    width = 2 * AROUND + 1
    around = (sums[:, width:] - sums[:, :-width]) / width
    above = levels[:, AROUND : AROUND + around.shape[1]] - around
    strongest: FloatArray = np.sort(above, axis=1)[:, -LINES:].mean(axis=1)
    return strongest
