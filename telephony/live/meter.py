"""How loud one side of a call is now. Sans-I/O.

Fifty pieces a second come from each call, and a level is wanted four times a second: so pieces are only kept.
"""

from collections import deque
from math import inf, log10

from audio.loudness import rms

SPAN_MS = 250  # over which it is measured
PIECES = 13  # of 20 ms, that are at least as long
SILENCE_DB = -90
FULL_SCALE = 32768


class Meter:
    """Of one side. Audio is mono PCM16 at a rate of `hz`; times are the call's media time."""

    def __init__(self, hz: int) -> None:
        self._span = 2 * hz * SPAN_MS // 1000
        self._pieces: deque[bytes] = deque(maxlen=PIECES)
        self._last_ms = -inf

    def add(self, pcm: bytes, now_ms: float) -> None:
        """The next piece."""
        self._pieces.append(pcm)
        self._last_ms = now_ms

    def db(self, now_ms: float) -> int:
        """dBFS (RMS) of the last 250 ms, -90 for silence. A side of which nothing has come for as long is silent."""
        if now_ms - self._last_ms >= SPAN_MS:
            return SILENCE_DB
        level = rms(b"".join(self._pieces)[-self._span :])
        return max(SILENCE_DB, round(20 * log10(level / FULL_SCALE))) if level else SILENCE_DB
