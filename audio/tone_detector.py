"""Hears keys as tones in the caller's audio (DTMF, ITU-T Q.23 and Q.24), for lines that carry them in no other
way. Sans-I/O.

Windows of 20 ms, one each 5 ms. In a window of a key one row's and one column's frequency have nearly all the energy,
neither is much weaker than the other, and both have the right pitch, which is measured by how their phase moves from
one window to another: what tells keys from voices and music is above all that these hold still for 30 ms.
"""

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

from audio.loudness import rms as rms_of
from audio.loudness import zero_crossings
from audio.rate import FRAME, FRAME_MS, RATE, SAMPLES_PER_MS
from audio.tones import COLUMNS, KEYS, ROWS

WINDOW = FRAME  # samples
FRAME_BYTES = 2 * WINDOW
HOP = 5 * SAMPLES_PER_MS
APART = 2  # hops between the windows whose phases are compared: unambiguous up to 50 Hz off
LEAST_RMS = 150  # of a frame that is looked at; a key at -33 dBm0 has 500
LEAST_ONSET = 40  # of a frame in which a key may begin, and it is three times as loud as the one before
TAIL = 60  # samples of it that are looked at
TAIL_HINT = 0.3  # of their energy in one row and one column: they are too few to tell more
CROSSINGS = 20, 80  # of zero in a frame that may hold a key: 27 to 67 in a whole frame of one, fewer in most speech
LEAST_TONE = 260.0  # amplitude of each tone, -39 dBm0
HINT = 0.35  # of a frame's energy in one row and one column, below which no key can be in it
SHARE = 0.75  # of a window's energy that the two tones have
PURE = 0.87  # the same in one window of a key: noise 10 dB below leaves 0.9, the overtones of instruments less
ROW_OVER, COLUMN_OVER = 10 ** (10 / 20), 10 ** (8 / 20)  # the most that one may be louder: Q.24 has 8 and 4 dB
OFF = 0.022  # of its frequency that a tone may be off: Q.24 wants 1.5 % heard, and 3.5 % not
HITS = 4  # windows in a row that make a key
MISSES = 6  # that end it: a gap of 30 ms; Q.24 wants 10 ms bridged and 40 not

_HERTZ = np.array((*ROWS, *COLUMNS), np.float64)
_TURNS = 2 * np.pi * _HERTZ / RATE  # radians a sample
# The amplitudes of the eight frequencies in a window, cosines before sines.
_WAVES = np.concatenate(
    [np.cos(np.outer(np.arange(WINDOW), _TURNS)), -np.sin(np.outer(np.arange(WINDOW), _TURNS))], axis=1
).astype(np.float32) * np.float32(2 / WINDOW)
_TAIL_WAVES = _WAVES[:TAIL] * np.float32(WINDOW / TAIL)
# How far each has turned from one window to the other.
_ADVANCE = np.exp(-1j * _TURNS * HOP * APART).astype(np.complex64)
_PER_RADIAN = RATE / (2 * np.pi * HOP * APART)  # Hz

Amplitudes = NDArray[np.complex64]  # windows x 8


class ToneDetector:
    """One caller's audio, as PCM16 at 8 kHz."""

    def __init__(self) -> None:
        self.down = ""  # the key that sounds
        self.may_begin = False  # whether one may have begun at the end of the last frame
        self._rest = b""  # of the audio, less than a frame
        self._past = bytes(FRAME_BYTES)
        self._rms = 0  # of the last frame
        self._amplitudes: Amplitudes | None = None  # of its last windows
        self._key = ""  # of the last window
        self._hits = self._misses = 0
        self._purest = 0.0  # share among the hits
        self._deaf = 0  # frames

    def hear(self, pcm: bytes) -> tuple[bool, str]:
        """The next audio: whether a key sounds in it, or seems to, and the key that was just recognized, else ""."""
        if len(pcm) == FRAME_BYTES and not self._rest:
            pressed = self._frame(pcm)
        else:
            pressed = ""
            self._rest += pcm
            while len(self._rest) >= FRAME_BYTES:
                pressed = self._frame(self._rest[:FRAME_BYTES]) or pressed
                self._rest = self._rest[FRAME_BYTES:]
        return bool(self._key), pressed

    def ignore(self, ms: float) -> None:
        """Hear nothing for this long."""
        self._deaf = round(ms / FRAME_MS)
        self.may_begin = False
        self._amplitudes = None
        self._key = self.down = ""

    def _frame(self, pcm: bytes) -> str:
        """20 ms: the key that is recognized with them."""
        past, self._past = self._past, pcm
        if self._deaf:
            self._deaf -= 1
            return ""
        before, self._rms = self._rms, rms_of(pcm)
        rms = self._rms
        self.may_begin = rms > max(LEAST_ONSET, 3 * before) and _ends_like_a_key(pcm)
        if rms < LEAST_RMS or not (self._key or _may_hold_key(pcm, rms)):  # nearly always
            self._amplitudes = None
            if self._key:
                self._miss(WINDOW // HOP)
            return ""
        pressed = ""
        for key, share in self._windows(past + pcm):
            pressed = self._take(key, share) or pressed
        return pressed

    def _windows(self, pcm: bytes) -> list[tuple[str, float]]:
        """Of each window that ends in the second of two frames the likeliest key, and its share of the energy."""
        windows = sliding_window_view(_samples(pcm), WINDOW)[HOP::HOP]
        waves = windows @ _WAVES
        fresh = waves[:, :8] + 1j * waves[:, 8:]
        before = np.zeros((APART, 8), np.complex64) if self._amplitudes is None else self._amplitudes
        self._amplitudes = fresh[-APART:]
        moved = fresh * np.concatenate((before, fresh[:-APART])).conj() * _ADVANCE
        off = np.angle(moved) * _PER_RADIAN  # Hz
        # A frequency off the one looked for shows too little; how far off is known.
        size = np.abs(fresh) / np.maximum(np.sinc(off * (WINDOW / RATE)), 0.3)
        size = np.where((np.abs(off) <= OFF * _HERTZ) & (moved != 0), size, 0)
        rows, columns = size[:, :4].argmax(axis=1), size[:, 4:].argmax(axis=1)
        at = np.arange(len(size))
        row, column = size[at, rows], size[at, 4 + columns]
        energy = np.einsum("ij,ij->i", windows, windows) / WINDOW
        share = (row**2 + column**2) / (2 * energy + 1)
        wrong = (np.minimum(row, column) < LEAST_TONE) | (row > ROW_OVER * column) | (column > COLUMN_OVER * row)
        share[wrong] = 0
        return [(KEYS[4 * r + c], s) for r, c, s in zip(rows, columns, share.tolist(), strict=True)]

    def _take(self, key: str, share: float) -> str:
        """One window's key; the key that is recognized with it."""
        if share < SHARE:
            self._miss(1)
            return ""
        if key != self._key:
            self._key, self._hits, self._purest = key, 0, 0.0
        self._misses = 0
        self._hits += 1
        self._purest = max(self._purest, share)
        if self._hits < HITS or self._purest < PURE or key == self.down:
            return ""
        self.down = key
        return key

    def _miss(self, count: int) -> None:
        self._misses += count
        if self.down and self._misses < MISSES:
            return  # an interruption
        self._key = self.down = ""
        self._hits = 0


def _samples(pcm: bytes) -> NDArray[np.float32]:
    return np.frombuffer(pcm, "<i2").astype(np.float32)


def _may_hold_key(pcm: bytes, rms: int) -> bool:
    """Whether one row and one column stand out of a frame at all."""
    least, most = CROSSINGS
    if not least <= zero_crossings(pcm) <= most:  # a tenth of the work of what follows
        return False
    waves = (_samples(pcm) @ _WAVES).tolist()
    energies = [cosine * cosine + sine * sine for cosine, sine in zip(waves[:8], waves[8:], strict=True)]
    return float(max(energies[:4]) + max(energies[4:])) >= 2 * HINT * rms * rms


def _ends_like_a_key(pcm: bytes) -> bool:
    """Whether a frame's last moment may be a key: roughly, since it is too short to tell pitches well."""
    samples = _samples(pcm)[-TAIL:]
    waves = samples @ _TAIL_WAVES
    energies = waves[:8] ** 2 + waves[8:] ** 2
    both = float(energies[:4].max() + energies[4:].max())
    return both * TAIL >= 2 * TAIL_HINT * float(samples @ samples)
