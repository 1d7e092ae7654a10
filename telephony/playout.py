"""Audio on its way to one caller's ear, handed to the carrier a little ahead of being heard.

Sans-I/O: told the time, in milliseconds of any steady clock. At most `lead_ms` lie with the carrier, so that a `clear`
loses little; marks between the blocks tell for certain what was heard. Positions are samples at 8 kHz from the start
of a reply.
"""

from collections import deque
from collections.abc import Sequence
from math import inf

import msgspec

from config.settings import PlayoutSettings

SAMPLES_PER_MS = 8


class Mark(msgspec.Struct, frozen=True):
    """A mark on its way: the carrier returns its name when it has played everything before it."""

    name: str
    position: int
    due_ms: float  # when that should happen


class Playout:
    """The playout buffer of one call."""

    def __init__(self, settings: PlayoutSettings) -> None:
        self.underruns = 0  # times the carrier ran dry in the middle of a reply
        self.lost_marks = 0
        self._lead_ms = settings.lead_ms
        self._block = settings.block_ms * SAMPLES_PER_MS
        self._grace_ms = settings.mark_grace_ms
        self.reply = 0  # the one being played
        self._audio = bytearray()  # PCM16 not yet handed over
        self._position = 0  # of its first sample
        self._marks: deque[int] = deque()  # positions not yet handed over
        self._out: deque[Mark] = deque()  # handed over, not yet returned
        self._heard = 0
        self._ends_ms = 0.0  # when everything handed over will have been played

    def add(self, reply: int, pcm: bytes, marks: Sequence[float]) -> None:
        """Append audio of a reply and its marks (ms from the reply's start, rising)."""
        if reply != self.reply:
            self._start(reply)
        self._audio += pcm
        self._marks.extend(round(ms * SAMPLES_PER_MS) for ms in marks)

    @property
    def due_ms(self) -> float:
        """When the next block is to be handed over; infinity while there is none."""
        if not self._audio:
            return self._ends_ms if self._marks else inf
        return self._ends_ms + self._next_block() / SAMPLES_PER_MS - self._lead_ms

    def take(self, now_ms: float) -> list[bytes | Mark]:
        """What the carrier is to be given now, in order: PCM blocks and marks."""
        out: list[bytes | Mark] = []
        if self._audio and now_ms > self._ends_ms:
            if self._position > 0:
                self.underruns += 1
            self._ends_ms = now_ms
        while self._audio and self.due_ms <= now_ms:
            block = self._next_block()
            out.append(bytes(self._audio[: 2 * block]))
            del self._audio[: 2 * block]
            self._position += block
            self._ends_ms += block / SAMPLES_PER_MS
            out += self._passed_marks()
        return out + self._passed_marks()

    def returned(self, name: str) -> tuple[int, float] | None:
        """A mark came back: (reply, ms heard of it). None for one that a `clear` has overtaken, or a stranger."""
        if not any(mark.name == name for mark in self._out):
            return None
        while (mark := self._out.popleft()).name != name:
            self.lost_marks += 1
        return self._heard_up_to(mark)

    def overdue(self, now_ms: float) -> tuple[int, float] | None:
        """Marks so late that they must be lost, taken as returned: (reply, ms heard of it), or None."""
        heard = None
        while self._out and now_ms > self._out[0].due_ms + self._grace_ms:
            self.lost_marks += 1
            heard = self._heard_up_to(self._out.popleft())
        return heard

    def clear(self) -> float:
        """Drop everything not heard, here and (by the caller's `clear`) with the carrier; gives the ms heard."""
        heard_ms = self._heard / SAMPLES_PER_MS
        self._start(0)
        return heard_ms

    def _passed_marks(self) -> list[Mark]:
        marks = []
        while self._marks and (self._marks[0] <= self._position or not self._audio):
            position = min(self._marks.popleft(), self._position)
            marks.append(Mark(f"{self.reply}.{position}", position, self._ends_ms))
        self._out.extend(marks)
        return marks

    def _heard_up_to(self, mark: Mark) -> tuple[int, float]:
        self._heard = mark.position
        return self.reply, mark.position / SAMPLES_PER_MS

    def _start(self, reply: int) -> None:
        self.reply = reply
        self._position = self._heard = 0
        self._ends_ms = 0.0
        self._audio.clear()
        self._marks.clear()
        self._out.clear()

    def _next_block(self) -> int:
        """Samples of the next block: up to the next mark where that is about a block away, so that it is exact."""
        block = self._block
        if self._marks:
            distance = self._marks[0] - self._position
            if block // 2 < distance <= block + block // 2:
                block = distance
        return min(block, len(self._audio) // 2)
