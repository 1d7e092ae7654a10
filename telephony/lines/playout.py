"""Audio on its way to one caller's ear, handed to the carrier shortly before it is heard.

Sans-I/O: the time is passed in, in milliseconds of any steady clock. The carrier buffers at most `lead_ms`, so that a
pause has little to take back; marks between the blocks tell for certain what was heard. Positions are samples of the
line's rate from the start of a reply.

A pause fades out and loses nothing: the fade-out is subtracted, sample by sample, from what is kept, so that resuming
fades in, and the two add up to the original. The ear is somewhere between the last mark returned and the last audio
handed over, and the clock tells where. The delay to the carrier cancels out, since the `clear` that stops the audio
takes as long as the audio took; only the delay of marks beyond the usual is subtracted.
"""

from collections import deque
from collections.abc import Sequence
from math import inf

import msgspec
import numpy as np

from audio.rate import RATE
from config.settings import PlayoutSettings

FADE_MS = 20
KEPT_MS = 10_000  # kept at most of what was handed over and may not have been heard
JITTER_MS = 20  # a mark this much later than the quickest one is late


class Mark(msgspec.Struct, frozen=True):
    """A mark: the carrier returns its name when it has played everything before it."""

    name: str
    position: int
    due_ms: float  # when that should happen


class Playout:
    """The playout buffer of one call."""

    def __init__(self, settings: PlayoutSettings, rate: int = RATE) -> None:
        """`rate` is the line's, in Hz."""
        self.underruns = 0  # times the carrier ran dry in the middle of a reply
        self.dry_ms = 0.0  # how long it had run dry before the last blocks taken; 0: it had not
        self.lost_marks = 0
        self.paused = False
        self._per_ms = rate // 1000  # samples
        self._lead_ms = settings.lead_ms
        self._block = settings.block_ms * self._per_ms
        self._kept = 2 * KEPT_MS * self._per_ms
        self._grace_ms = settings.mark_grace_ms
        self.reply = 0  # the one being played
        self._audio = bytearray()  # PCM16 not yet handed over
        self._position = 0  # of its first sample
        self._handed = bytearray()  # PCM16 before it that was handed over and perhaps not heard
        self._pauses = 0  # part of marks' names, so that `clear` cannot return one that was sent again
        self._fade = b""  # of the last pause
        self._fade_ends_ms = 0.0
        self._delay_ms = inf  # of the quickest mark: the round trip
        self._late_ms = 0.0  # of the last mark beyond that
        self._marks: deque[int] = deque()  # positions not yet handed over
        self._out: deque[Mark] = deque()  # handed over, not yet returned
        self._heard = 0
        self._ends_ms = 0.0  # when everything handed over will have been played
        self.due_ms = inf  # when the next block is due; kept, since every tick asks

    def add(self, reply: int, pcm: bytes, marks: Sequence[float]) -> None:
        """Append audio of a reply and its marks (ms from the reply's start, rising)."""
        if reply != self.reply:
            self._start(reply)
        self._audio += pcm
        self._marks.extend(round(ms * self._per_ms) for ms in marks)
        self._plan()

    @property
    def next_at(self) -> tuple[int, float]:
        """The position of the next block, and when it will be played if it is handed over in time."""
        return self._position, self._ends_ms

    def recent(self, now_ms: float, ms: int) -> bytes:
        """The last audio handed over, PCM16, at most `ms` of it; nothing once the ear has heard all of it."""
        return bytes(self._handed[-2 * ms * self._per_ms :]) if now_ms < self._ends_ms else b""

    def take(self, now_ms: float) -> list[bytes | Mark]:
        """What to give the carrier now, in order: PCM blocks and marks."""
        out: list[bytes | Mark] = []
        self.dry_ms = 0.0
        if self.paused:
            return out
        if self._audio and now_ms > self._ends_ms:
            if self._position > 0:
                self.underruns += 1
                self.dry_ms = now_ms - self._ends_ms
            self._ends_ms = now_ms
            self._plan()
        while self._audio and self.due_ms <= now_ms:
            block = self._next_block()
            out.append(bytes(self._audio[: 2 * block]))
            self._handed += self._audio[: 2 * block]
            del self._handed[: max(0, len(self._handed) - self._kept)]
            del self._audio[: 2 * block]
            self._position += block
            self._ends_ms += block / self._per_ms
            out += self._passed_marks()
            self._plan()
        out += self._passed_marks()
        self._plan()
        return out

    def returned(self, name: str, now_ms: float) -> tuple[int, float] | None:
        """A mark came back: (reply, ms heard of it). None for a mark that a pause has overtaken, or an unknown one."""
        if not any(mark.name == name for mark in self._out):
            return None
        while (mark := self._out.popleft()).name != name:
            self.lost_marks += 1
        delay_ms = now_ms - mark.due_ms
        self._delay_ms = min(self._delay_ms, delay_ms)
        self._late_ms = delay_ms - self._delay_ms
        return self._heard_up_to(mark)

    def overdue(self, now_ms: float) -> tuple[int, float] | None:
        """Treats marks so late that they must be lost as returned: (reply, ms heard of it), or None."""
        heard = None
        while self._out and now_ms > self._out[0].due_ms + self._grace_ms:
            self.lost_marks += 1
            heard = self._heard_up_to(self._out.popleft())
        return heard

    def pause(self, now_ms: float) -> tuple[bytes, float]:
        """Take back what was not heard. Returns the fade for the carrier to play after its `clear`, as PCM16, and the
        ms of the reply heard before it."""
        position = self._ear(now_ms)
        taken = 2 * (self._position - position)
        self._audio[:0] = self._handed[len(self._handed) - taken :] if taken else b""
        self._marks.extendleft(mark.position for mark in reversed(self._out) if mark.position > position)
        self._out.clear()
        self._handed.clear()
        self._position = self._heard = position
        self._pauses += 1
        self.paused = True
        self._plan()
        self._take_back_fade(now_ms)
        self._fade = self._split_fade()
        self._ends_ms = self._fade_ends_ms = now_ms + len(self._fade) / 2 / self._per_ms
        return self._fade, position / self._per_ms

    def unfade(self, now_ms: float) -> None:
        """The carrier was not given the fade of the pause: keep that too."""
        self._take_back_fade(now_ms)
        self._fade = b""
        self._ends_ms = self._fade_ends_ms = now_ms

    def resume(self, now_ms: float) -> None:
        """Go on after the last sample heard."""
        self.paused = False
        self._ends_ms = max(self._ends_ms, now_ms)
        self._plan()

    def drop(self) -> None:
        """Discard what was not heard of a paused reply."""
        self._start(0)

    def _ear(self, now_ms: float) -> int:
        """The best estimate of the position that the caller's ear has reached."""
        ahead_ms = max(0.0, self._ends_ms - now_ms)
        if self._late_ms > JITTER_MS:
            ahead_ms += self._late_ms
        ear = self._position - round(ahead_ms * self._per_ms)
        for mark in self._out:
            if now_ms > mark.due_ms + self._delay_ms + JITTER_MS:
                ear = min(ear, mark.position)  # it would have come back
        return max(ear, self._heard, self._position - len(self._handed) // 2)

    def _take_back_fade(self, now_ms: float) -> None:
        """After a pause so soon after another that the carrier has not played all of its fade: put the rest back."""
        rest = 2 * min(round((self._fade_ends_ms - now_ms) * self._per_ms), len(self._fade) // 2)
        if rest > 0:
            place = slice(len(self._fade) - rest, len(self._fade))
            whole = np.frombuffer(self._fade[place], "<i2") + np.frombuffer(bytes(self._audio[place]), "<i2")
            self._audio[place] = whole.astype("<i2").tobytes()

    def _split_fade(self) -> bytes:
        """Split a fade-out off the front of what is kept; the remainder fades in."""
        count = min(FADE_MS * self._per_ms, len(self._audio) // 2)
        whole = np.frombuffer(bytes(self._audio[: 2 * count]), "<i2")
        fade = (whole * np.linspace(1, 0, count, endpoint=False)).astype("<i2")
        self._audio[: 2 * count] = (whole - fade).astype("<i2").tobytes()
        return fade.tobytes()

    def _passed_marks(self) -> list[Mark]:
        marks = []
        while self._marks and (self._marks[0] <= self._position or not self._audio):
            position = min(self._marks.popleft(), self._position)
            marks.append(Mark(f"{self.reply}.{self._pauses}.{position}", position, self._ends_ms))
        self._out.extend(marks)
        return marks

    def _heard_up_to(self, mark: Mark) -> tuple[int, float]:
        del self._handed[: max(0, len(self._handed) - 2 * (self._position - mark.position))]
        self._heard = mark.position
        return self.reply, mark.position / self._per_ms

    def _start(self, reply: int) -> None:
        self.reply = reply
        self._position = self._heard = 0
        self._ends_ms = self._fade_ends_ms = 0.0
        self.paused = False
        self._audio.clear()
        self._handed.clear()
        self._marks.clear()
        self._out.clear()
        self.due_ms = inf

    def _plan(self) -> None:
        if self.paused:
            self.due_ms = inf
        elif self._audio:
            self.due_ms = self._ends_ms + self._next_block() / self._per_ms - self._lead_ms
        else:
            self.due_ms = self._ends_ms if self._marks else inf

    def _next_block(self) -> int:
        """The length of the next block in samples: up to the next mark where that is about a block away, so that the
        mark is exact."""
        block = self._block
        if self._marks:
            distance = self._marks[0] - self._position
            if block // 2 < distance <= block + block // 2:
                block = distance
        return min(block, len(self._audio) // 2)
