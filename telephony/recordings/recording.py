"""One call's recording, on the side of the line: what comes in is put aside for the writer, and nothing waits."""

from typing import Literal

import msgspec

from config.logging import Log
from telephony.files.backlog import Backlog
from telephony.recordings.placement import Placement

MAX_BUFFER = 4_000_000  # bytes of one call that wait to be written; what a slow disk leaves over becomes silence


class Piece(msgspec.Struct, frozen=True):
    """Something that came in: audio of the caller or the agent, or where the agent was cut off, or where recording was
    paused or resumed. `at` is in samples since the call began."""

    kind: Literal["caller", "agent", "cut", "pause", "resume"]
    at: int
    pcm: bytes = b""


class Recording:
    """The recording of one call. Audio is mono PCM16 at `rate`; the time is the caller's audio."""

    def __init__(self, name: str, rate: int, log: Log, waiting: Backlog, *, takes_back_ms: float = 0.0) -> None:
        """`name` is the file's, without its ending. For `takes_back_ms` what the agent said may still be taken back."""
        self.name = name
        self.rate = rate
        self.log = log
        self.settle = round(takes_back_ms * rate / 1000)
        self.paused = False
        self.incomplete = False  # something is missing: the disk was too slow, or full
        self._now = 0
        self._placement = Placement()
        self._all = waiting
        self._waiting = 0
        self._pieces: list[Piece] = []

    @property
    def ms(self) -> float:
        """How long it is."""
        return 1000 * self._now / self.rate

    def caller(self, pcm: bytes) -> None:
        """The next piece of the caller's audio. While paused nothing of it is kept."""
        self._put("caller", self._now, bytes(len(pcm)) if self.paused else pcm)
        self._now += len(pcm) // 2

    def agent(self, pcm: bytes, ahead_ms: float = 0.0, hole_ms: float | None = None) -> None:
        """Audio of the agent, heard in `ahead_ms` from now, or `hole_ms` after the last one where that is known."""
        hole = None if hole_ms is None else self._samples(hole_ms)
        at = self._placement.lay(self._now, len(pcm) // 2, ahead=self._samples(ahead_ms), hole=hole)
        self._put("agent", at, pcm)

    def take_back(self, ms: float) -> None:
        """The last `ms` of the agent's audio will not be heard."""
        self._put("cut", self._placement.take_back(self._samples(ms)))

    def pause(self) -> None:
        """From now on both sides are silent."""
        if not self.paused:
            self.paused = True
            self._put("pause", self._now)

    def resume(self) -> None:
        """From now on they are heard again."""
        if self.paused:
            self.paused = False
            self._put("resume", self._now)

    def take(self) -> list[Piece]:
        """What has come in; for the writer."""
        with self._all.lock:
            self._all.bytes -= self._waiting
            pieces, self._pieces, self._waiting = self._pieces, [], 0
        return pieces

    def _put(self, kind: Literal["caller", "agent", "cut", "pause", "resume"], at: int, pcm: bytes = b"") -> None:
        size = len(pcm)
        with self._all.lock:
            if size and (self._waiting + size > MAX_BUFFER or self._all.full(size)):
                self.incomplete = True
                return
            self._pieces.append(Piece(kind, at, pcm))
            self._waiting += size
            self._all.bytes += size

    def _samples(self, ms: float) -> int:
        return round(ms * self.rate / 1000)
