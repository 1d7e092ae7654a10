"""The agent's audio on its way to a browser, which says of every sample when it was heard. Sans-I/O.

Positions are samples at 16 kHz since the call began. The browser plays what comes at once; it is kept `lead_ms` ahead
of its ear, and of the way there and back. The ear's position comes with every message of the caller's audio, and is
carried on by the clock in between.

A pause costs nothing of the reply. The browser fades out from the sample it has reached, and says which that was; the
fade is subtracted from what is kept, so that the two add up to the original when the reply goes on. Nothing is sent
until then. `Line.pause` must tell at once what was heard: it tells what is certain, and `played` corrects it by the
sample that the browser names.
"""

from collections import deque
from collections.abc import Callable, Sequence
from math import inf

import msgspec
import numpy as np

from audio.rate import FRAME_MS, WIDE
from telephony.lines.browser.messages import MAX_FRAME, Block, Heard, Stopped
from telephony.lines.close_codes import CloseCode
from telephony.lines.exceptions import ProtocolError

PER_MS = WIDE.per_ms
FADE = FRAME_MS * PER_MS  # samples
LEAD_MS, MAX_LEAD_MS, LEAD_STEP_MS = 100.0, 160.0, 20.0  # it grows whenever the browser runs dry
MAX_ROUND_TRIP_MS = 500.0
STEP_MS = 100.0  # for so long without news, the ear is assumed to go on
MAX_STAMPS = 64
SMOOTHING = 1 / 8  # of the round trip
ANSWER_MS = 5000.0  # within which a browser answers a `clear`


class _Later(msgspec.Struct, frozen=True):
    """A piece of the next reply, while the last one is still being stopped."""

    reply: int
    pcm: bytes
    marks: tuple[float, ...]


class Speaker:
    """One call's outgoing audio. `played` is called with a reply and the ms heard of it, for every mark."""

    def __init__(self, played: Callable[[int, float], None]) -> None:
        self.epoch = 0  # counts the times the browser was told to fall silent
        self.reply = 0  # the one being played
        self.paused = False
        self.underruns = 0
        self.lead_ms = LEAD_MS
        self.round_trip_ms = 0.0
        self.stopping_since_ms = inf  # when the browser was told; until it answers nothing is sent
        self._played = played
        self._audio = bytearray()  # PCM16 from the sample `heard` on
        self._heard = 0
        self._sent = 0
        self._begin = 0  # of the reply
        self._marks: deque[tuple[int, int, float]] = deque()  # position, reply, ms of it
        self._later: list[_Later] = []
        self._answered = 0  # the last epoch of which it has told where it fell silent
        self._dropped = False  # what is kept is forgotten once the browser has stopped
        self._news_ms = 0.0  # when the ear's position last came
        self._stamps: deque[tuple[int, float]] = deque(maxlen=MAX_STAMPS)  # sent up to where, when
        self._dry = 0

    @property
    def stopping(self) -> bool:
        """Whether the browser has been told to fall silent and has not answered."""
        return self.stopping_since_ms < inf

    # What the conversation asks for

    def add(self, reply: int, pcm: bytes, marks: Sequence[float]) -> None:
        """Append audio of a reply and its marks (ms from the reply's start, rising)."""
        if reply != self.reply and self.paused:
            self.drop()
        if self._dropped:
            self._later.append(_Later(reply, pcm, tuple(marks)))
        else:
            self._append(reply, pcm, marks)

    def pause(self, now_ms: float) -> float:
        """Fall silent; the ms of the reply that were surely heard. The caller of this tells the browser the epoch."""
        self.paused = True
        self.stop(now_ms)
        return max(0, self._heard - self._begin) / PER_MS

    def stop(self, now_ms: float) -> None:
        """The browser is told to fall silent where it is: for a pause, or because it has come back."""
        self.epoch = self.epoch + 1 & 0xFFFF
        self.stopping_since_ms = now_ms
        self._stamps.clear()

    def resume(self) -> None:
        """Go on after the last sample heard."""
        self.paused = False

    def drop(self) -> None:
        """Forget what was not heard of a paused reply."""
        self.paused = False
        self._later.clear()
        if self.stopping:
            self._dropped = True
        else:
            self._forget()

    # What the browser tells

    def acknowledge(self, told: Heard, now_ms: float) -> bytes:
        """How far its ear is: gives the audio that it has heard since. Raises ProtocolError if that cannot be."""
        if told.epoch != self.epoch or self.stopping:
            return b""  # written before it fell silent, which `stopped` will tell in full
        if not self._heard <= told.heard <= told.received <= self._sent:
            reason = f"heard {told.heard} of {told.received} samples, after {self._heard} of the {self._sent} sent"
            raise ProtocolError(CloseCode.INVALID_DATA, reason)
        self._news_ms = now_ms
        self._count_dry(told.dry)
        self._measure(told.received, now_ms)
        return self._advance(told.heard)

    def stopped(self, told: Stopped) -> bytes:
        """It has fallen silent: gives the audio that it has heard since, with the fade. Raises ProtocolError.

        Each answer counts once, in case a page sends it again on another socket, and also those before the last: each
        may have a fade of its own.
        """
        unanswered = self.epoch - self._answered & 0xFFFF
        number = told.epoch - self._answered & 0xFFFF
        if not 0 < number <= unanswered:
            return b""
        most = min(FADE, self._sent - told.heard)
        if not (self._heard <= told.heard <= self._sent and told.fade <= most):
            reason = f"stopped after {told.heard} and {told.fade} samples, of the {self._sent} sent"
            raise ProtocolError(CloseCode.INVALID_DATA, reason)
        heard = self._advance(told.heard) + self._split_fade(told.fade)
        self._sent = self._heard
        self._answered = told.epoch
        if number < unanswered:
            return heard  # it was told again meanwhile
        self.stopping_since_ms = inf
        if self._heard > self._begin:
            self._played(self.reply, (self._heard - self._begin) / PER_MS)
        if self._dropped:
            self._forget()
            for piece in self._later:
                self._append(piece.reply, piece.pcm, piece.marks)
            self._later.clear()
        return heard

    # What is sent

    def wants(self, now_ms: float) -> bool:
        """Whether there is something to send now."""
        if self.paused or self.stopping_since_ms < inf:
            return False
        left = self._heard + len(self._audio) // 2 - self._sent
        return left > 0 and self._room(now_ms) >= min(left, WIDE.frame)

    def take(self, now_ms: float) -> list[Block]:
        """What to send now."""
        blocks = []
        while self.wants(now_ms):
            at = 2 * (self._sent - self._heard)
            count = min(MAX_FRAME, self._room(now_ms))
            pcm = bytes(self._audio[at : at + 2 * count])
            blocks.append(Block(self._sent, self.epoch, self.reply, pcm))
            self._sent += len(pcm) // 2
            self._stamps.append((self._sent, now_ms))
        return blocks

    def playing(self, ms: int) -> bytes:
        """What the browser has and has not yet played, PCM16, at most `ms` of it."""
        return b"" if self.stopping else bytes(self._audio[: 2 * min(self._sent - self._heard, ms * PER_MS)])

    def offset(self, position: int) -> int:
        """Of a position, the samples since the reply began."""
        return position - self._begin

    def ahead_ms(self, position: int, now_ms: float) -> float:
        """About how long until the sample at a position is heard."""
        return max(0.0, (position - self._ear(now_ms)) / PER_MS)

    def _room(self, now_ms: float) -> int:
        ahead = round((self.lead_ms + self.round_trip_ms) * PER_MS)
        return ahead - (self._sent - self._ear(now_ms))

    def _ear(self, now_ms: float) -> int:
        """Where the ear is about now."""
        since_ms = min(max(0.0, now_ms - self._news_ms), STEP_MS)
        return min(self._sent, self._heard + round(since_ms * PER_MS))

    # Inside

    def _append(self, reply: int, pcm: bytes, marks: Sequence[float]) -> None:
        end = self._heard + len(self._audio) // 2
        if reply != self.reply:
            self.reply, self.paused, self._begin = reply, False, end
        self._audio += pcm
        end += len(pcm) // 2
        for ms in marks:
            self._marks.append((min(self._begin + round(ms * PER_MS), end), reply, ms))
        self._tell_marks()

    def _advance(self, position: int) -> bytes:
        count = 2 * (position - self._heard)
        heard = bytes(self._audio[:count])
        del self._audio[:count]
        self._heard = position
        self._tell_marks()
        return heard

    def _tell_marks(self) -> None:
        while self._marks and self._marks[0][0] <= self._heard:
            _, reply, ms = self._marks.popleft()
            self._played(reply, ms)

    def _split_fade(self, count: int) -> bytes:
        """Split what the browser has faded out off the front of what is kept; the remainder fades in."""
        whole = np.frombuffer(bytes(self._audio[: 2 * count]), "<i2")
        fade = (whole * np.linspace(1, 0, count, endpoint=False)).astype("<i2")
        self._audio[: 2 * count] = (whole - fade).astype("<i2").tobytes()
        return fade.tobytes()

    def _forget(self) -> None:
        self._dropped = False
        self._audio.clear()
        self._marks.clear()
        self._sent = self._heard

    def _count_dry(self, dry: int) -> None:
        new = dry - self._dry & 0xFFFF
        self._dry = dry
        if new:
            self.underruns += new
            self.lead_ms = min(self.lead_ms + LEAD_STEP_MS, MAX_LEAD_MS)

    def _measure(self, received: int, now_ms: float) -> None:
        """The way there and back, by what has arrived."""
        sent_ms = None
        while self._stamps and self._stamps[0][0] <= received:
            _, sent_ms = self._stamps.popleft()
        if sent_ms is not None:
            measured = min(now_ms - sent_ms, MAX_ROUND_TRIP_MS)
            self.round_trip_ms += (measured - self.round_trip_ms) * (SMOOTHING if self.round_trip_ms else 1)
