"""A playout with a clock of its own: every 20 ms exactly one frame leaves, so what was heard is known to the sample.

Sans-I/O. Nothing lies with a carrier here. What the playout hands over waits in a short queue until its tick; a mark is
played when the sample before it leaves.
"""

from collections import deque
from collections.abc import Callable, Sequence

from config.settings import PlayoutSettings
from telephony.audio import g711
from telephony.playout import Mark, Playout
from telephony.rtp.codec import FRAME, FRAME_MS, SAMPLES_PER_MS

# The queue is taken back by a pause, so that its length costs nothing; a block may be half as long again as block_ms.
_AHEAD = PlayoutSettings(lead_ms=60, block_ms=20)


class Player:
    """The audio of one call on its way out. `played` is told of every mark, `began` of the first frame of a reply."""

    def __init__(self, played: Callable[[int, float], None], began: Callable[[int], None]) -> None:
        self.playout = Playout(_AHEAD)
        self.note: Callable[..., None] | None = None  # told what goes out, for the tape
        self._played = played
        self._began = began
        self._queue = bytearray()  # PCM16, the next sample to leave first
        self._marks: deque[tuple[int, Mark]] = deque()  # each with the bytes that leave before it
        self._left = 0  # bytes that have left
        self._clock_ms = 0.0  # of the next sample to leave: frames that have left, told in time
        self._first_frame_of = 0

    def add(self, reply: int, pcm: bytes, marks: Sequence[float]) -> None:
        """See Line.play."""
        self.playout.add(reply, pcm, marks)

    def pause(self) -> float:
        """Fade out within the next frame; the ms of the reply that have left before the fade."""
        fade, heard_ms = self.playout.pause(self._clock_ms)
        self._queue[:] = fade
        self._marks.clear()
        if self.note:
            self.note(out="clear")
            position = round(heard_ms * SAMPLES_PER_MS)
            if fade:
                self.note(out="media", reply=self.playout.reply, position=position, in_ms=0, ulaw=g711.encode(fade))
        return heard_ms

    def resume(self) -> None:
        """See Line.resume."""
        self.playout.resume(self._clock_ms)

    def drop(self) -> None:
        """See Line.drop."""
        self.playout.drop()

    def frame(self) -> bytes | None:
        """The next 20 ms: 160 samples of PCM16; None for silence."""
        self._fill()
        pcm = bytes(self._queue[: 2 * FRAME])
        del self._queue[: 2 * FRAME]
        self._left += len(pcm)
        self._clock_ms += FRAME_MS
        if pcm and self.playout.reply not in (0, self._first_frame_of):
            self._first_frame_of = self.playout.reply
            self._began(self._first_frame_of)
        self._tell_marks()
        return pcm.ljust(2 * FRAME, b"\0") if pcm else None

    def _fill(self) -> None:
        position, plays_ms = self.playout.next_at
        queued_ms = len(self._queue) / 2 / SAMPLES_PER_MS
        if plays_ms < self._clock_ms + queued_ms and queued_ms:
            return  # the rest of a reply that was dropped leaves first, lest the playout count it as the next one's
        plays_ms = max(plays_ms, self._clock_ms)
        for item in self.playout.take(self._clock_ms):
            if isinstance(item, Mark):
                self._marks.append((self._left + len(self._queue), item))
                if self.note:
                    self.note(out="mark", name=item.name)
                continue
            self._queue += item
            if self.note:
                in_ms = plays_ms - self._clock_ms
                ulaw = g711.encode(item)
                self.note(out="media", reply=self.playout.reply, position=position, in_ms=in_ms, ulaw=ulaw)
            position += len(item) // 2
            plays_ms += len(item) / 2 / SAMPLES_PER_MS

    def _tell_marks(self) -> None:
        while self._marks and self._marks[0][0] <= self._left:
            _, mark = self._marks.popleft()
            if heard := self.playout.returned(mark.name, mark.due_ms):
                if self.note:
                    self.note(**{"in": "mark", "name": mark.name})
                self._played(*heard)
