"""What the caller hears of the agent: its talkspurts, found in the audio as it is played.

Sans-I/O; times in samples of the line (8 kHz) since the start of the stream.
"""

from collections import deque

import msgspec
import numpy as np

from audio import g711
from audio.rate import SAMPLES_PER_MS

LOUD_DBFS = -40.0  # samples above this are audible; line noise and comfort noise stay below
JOIN = 300 * SAMPLES_PER_MS  # pauses up to this belong to the talkspurt
BREAK = 30 * SAMPLES_PER_MS  # silence within a word, such as before a plosive, is at most this long
SLICE = 100 * SAMPLES_PER_MS  # long payloads are examined in slices, so that their pauses are found


def _quiet_codes() -> bytes:
    codes = bytes(range(256))
    levels = np.abs(np.frombuffer(g711.decode(codes), "<i2").astype(np.int32))
    return bytes(code for code in codes if levels[code] < 32768 * 10 ** (LOUD_DBFS / 20))


QUIET = _quiet_codes()  # the mu-law codes of all samples below the threshold


class Talkspurt(msgspec.Struct):
    """A stretch of the agent's speech, from its first to its last loud sample heard so far."""

    start: int
    end: int


class Ear:
    """Follows the agent's talkspurts as they are played."""

    def __init__(self) -> None:
        self.spurts: list[Talkspurt] = []
        self._unbroken = Talkspurt(0, 0)  # the last stretch without even a short pause
        self._ahead: deque[tuple[int, int]] = deque()  # loud pieces not yet heard to their end

    def schedule(self, start: int, payload: bytes) -> None:
        """Schedule mu-law audio to be played from `start` on."""
        for offset in range(0, len(payload), SLICE):
            piece = payload[offset : offset + SLICE]
            rest = piece.lstrip(QUIET)  # runs at C speed: no arithmetic per sample
            if rest:
                begin = start + offset + len(piece) - len(rest)
                self._ahead.append((begin, begin + len(rest.rstrip(QUIET))))

    def unbroken(self, now: int) -> tuple[int, int]:
        """Since when and until when the agent is heard without a break, as far as its audio has been sent. Both are
        `now` while it is silent."""
        until = now
        for start, end in self._ahead:
            if start - until > BREAK:
                break
            until = max(until, end)
        silent = until == now or now - self._unbroken.end > BREAK
        return (now, now) if silent else (self._unbroken.start, until)

    def clear(self, now: int) -> None:
        """Discard what was scheduled from now on."""
        self.listen(now)
        self._ahead.clear()

    def listen(self, now: int) -> None:
        """Advance the time: hear what has been played until now."""
        while self._ahead and self._ahead[0][0] < now:
            start, end = self._ahead[0]
            heard = min(end, now)
            if start - self._unbroken.end > BREAK:
                self._unbroken = Talkspurt(start, heard)
            self._unbroken.end = max(self._unbroken.end, heard)
            if self.spurts and start - self.spurts[-1].end <= JOIN:
                self.spurts[-1].end = max(self.spurts[-1].end, heard)
            else:
                self.spurts.append(Talkspurt(start, heard))
            if end > now:
                break
            self._ahead.popleft()
