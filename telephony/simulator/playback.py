"""Twilio's playback side: a buffer played in real time, marks, `clear`, and underruns.

Sans-I/O. All times are in samples of the line (8 kHz) since the start of the stream; callers of a method pass the time,
which must not run backwards.
"""

from collections import deque

import msgspec

from audio.rate import RATE, SAMPLES_PER_MS
from telephony.lines.exceptions import LineError

LONGEST_BUFFER = 600 * RATE  # samples; an agent that sends further ahead is refused
MOST_MARKS = 10_000  # outstanding at once
UNDERRUN_WINDOW = 500 * SAMPLES_PER_MS  # a longer gap counts as a pause of the agent
UNDERRUN_LEAST = SAMPLES_PER_MS  # a shorter gap is inaudible


class Underrun(msgspec.Struct, frozen=True):
    """The buffer ran dry at `at` and got more audio `length` samples later."""

    at: int
    length: int


class Overflow(LineError):
    """The agent sent more than the buffer holds; the message says of what."""


class Playback:
    """The agent's audio as it is played to the caller."""

    def __init__(self, *, keep_audio: bool = True) -> None:
        self.end = 0  # when the buffer runs dry; in the past while it is empty
        self.received = 0  # samples, in total
        self.cleared = 0  # samples that `clear` discarded before they were played
        self.underruns: list[Underrun] = []
        self.pieces: list[tuple[int, bytes]] = []  # (start, mu-law) of everything played or buffered
        self._keep_audio = keep_audio
        self._fresh = True  # nothing was played since the start or the last `clear`
        self._marks: deque[tuple[int, str]] = deque()

    def buffered(self, now: int) -> int:
        """Samples not yet played."""
        return max(0, self.end - now)

    def played(self, now: int) -> int:
        """Samples played to the caller."""
        return self.received - self.cleared - self.buffered(now)

    def play(self, payload: bytes, now: int) -> int:
        """Append mu-law audio to the buffer; returns when its first sample is played."""
        if self.buffered(now) + len(payload) > LONGEST_BUFFER:
            raise Overflow("more than 10 minutes of audio ahead")
        if self.end < now:
            gap = now - self.end
            if not self._fresh and UNDERRUN_LEAST <= gap <= UNDERRUN_WINDOW:
                self.underruns.append(Underrun(self.end, gap))
            self.end = now
        start = self.end
        self.end += len(payload)
        self.received += len(payload)
        self._fresh = False
        if self._keep_audio:
            self.pieces.append((start, payload))
        return start

    def mark(self, name: str, now: int) -> list[str]:
        """Set a mark after all audio so far; returns the marks already reached, perhaps this one too."""
        if len(self._marks) >= MOST_MARKS:
            raise Overflow("more than 10,000 marks outstanding")
        self._marks.append((self.end, name))
        return self.advance(now)

    def clear(self, now: int) -> list[str]:
        """Discard what is not yet played; returns all outstanding marks, as Twilio does."""
        dropped = self.buffered(now)
        self.cleared += dropped
        self.end -= dropped
        self._fresh = True
        while self.pieces and self.pieces[-1][0] + len(self.pieces[-1][1]) > self.end:
            start, payload = self.pieces.pop()
            if start < self.end:
                self.pieces.append((start, payload[: self.end - start]))
        names = [name for _, name in self._marks]
        self._marks.clear()
        return names

    def advance(self, now: int) -> list[str]:
        """The marks reached until now, in order, each once."""
        names = []
        while self._marks and self._marks[0][0] <= now:
            names.append(self._marks.popleft()[1])
        return names
