"""A playout with a clock of its own: every 20 ms exactly one frame leaves, so it is known to the sample what was heard.

Sans-I/O. No carrier buffers audio here. What the playout hands over waits in a short queue for its tick; a mark is
played when the sample before it leaves.
"""

from collections import deque
from collections.abc import Callable, Sequence

from audio import g711
from audio.rate import FRAME_MS, NARROW, Rate
from audio.resample import Downsampler
from config.settings import PlayoutSettings
from telephony.lines.playout import Mark, Playout

# A pause takes the queue back, so its length costs nothing; a block may be half as long again as block_ms.
_AHEAD = PlayoutSettings(lead_ms=60, block_ms=20)


class Player:
    """One call's outgoing audio. `played` is called for every mark, `began` for the first frame of a reply."""

    def __init__(self, played: Callable[[int, float], None], began: Callable[[int], None]) -> None:
        self.settle(NARROW)
        self.note: Callable[..., None] | None = None  # notes what goes out, for the tape
        self.sent: Callable[[bytes], None] | None = None  # is given every frame that is not silent, for the recording
        self._played = played
        self._began = began
        self._queue = bytearray()  # PCM16, the next sample to leave first
        self._marks: deque[tuple[int, Mark]] = deque()  # each with the number of bytes before it
        self._left = 0  # bytes that have left
        self._clock_ms = 0.0  # when the next sample leaves, by the frames that have left
        self._first_frame_of = 0

    def settle(self, rate: Rate) -> None:
        """Set the line's rate, before anything is played."""
        self.playout = Playout(_AHEAD, rate.hz)
        self._rate, self._per_ms = rate, rate.per_ms
        self._size = 2 * rate.frame  # bytes of a frame
        self._downsampler = Downsampler()
        self._odd = b""  # an odd last sample, to be taped with the next

    def add(self, reply: int, pcm: bytes, marks: Sequence[float]) -> None:
        """See Line.play."""
        self.playout.add(reply, pcm, marks)

    def pause(self, *, leaving: bool = True) -> float:
        """Fade out within the next frame; the ms of the reply that have left before the fade. Where no frame is
        `leaving` there is no fade."""
        fade, heard_ms = self.playout.pause(self._clock_ms)
        if not leaving:
            self.playout.unfade(self._clock_ms)
            fade = b""
        self._queue[:] = fade
        self._marks.clear()
        if self.note:
            self.note(out="clear")
            if fade:
                self._note_audio(round(heard_ms * self._per_ms), 0, fade)
        return heard_ms

    def resume(self) -> None:
        """See Line.resume."""
        self.playout.resume(self._clock_ms)

    def drop(self) -> None:
        """See Line.drop."""
        self.playout.drop()

    def recent(self, ms: int) -> bytes:
        """See Line.recent."""
        return self.playout.recent(self._clock_ms, ms)

    def frame(self) -> bytes | None:
        """The next 20 ms of PCM16; None for silence."""
        if self.playout.due_ms > self._clock_ms and not self._queue and not self._marks:
            self._clock_ms += FRAME_MS
            return None
        self._fill()
        pcm = bytes(self._queue[: self._size])
        del self._queue[: self._size]
        self._left += len(pcm)
        self._clock_ms += FRAME_MS
        if pcm and self.playout.reply not in (0, self._first_frame_of):
            self._first_frame_of = self.playout.reply
            self._began(self._first_frame_of)
        if pcm and self.sent:
            self.sent(pcm)
        self._tell_marks()
        return pcm.ljust(self._size, b"\0") if pcm else None

    def _fill(self) -> None:
        position, plays_ms = self.playout.next_at
        queued_ms = len(self._queue) / 2 / self._per_ms
        if plays_ms < self._clock_ms + queued_ms and queued_ms:
            return  # the rest of a dropped reply leaves first, lest the playout count it as the next one's
        plays_ms = max(plays_ms, self._clock_ms)
        items = self.playout.take(self._clock_ms)
        if self.playout.dry_ms and self.note:
            self.note(out="underrun", ms=self.playout.dry_ms)
        for item in items:
            if isinstance(item, Mark):
                self._marks.append((self._left + len(self._queue), item))
                if self.note:
                    self.note(out="mark", name=self._taped_name(item))
                continue
            self._queue += item
            if self.note:
                self._note_audio(position, plays_ms - self._clock_ms, item)
            position += len(item) // 2
            plays_ms += len(item) / 2 / self._per_ms

    def _tell_marks(self) -> None:
        while self._marks and self._marks[0][0] <= self._left:
            _, mark = self._marks.popleft()
            if heard := self.playout.returned(mark.name, mark.due_ms):
                if self.note:
                    self.note(**{"in": "mark", "name": self._taped_name(mark)})
                self._played(*heard)

    # The tape, which is at 8 kHz

    def _note_audio(self, position: int, in_ms: float, pcm: bytes) -> None:
        assert self.note is not None
        if self._rate is not NARROW:
            pcm = self._narrowed(position, pcm)
        at = position * NARROW.per_ms // self._per_ms
        self.note(out="media", reply=self.playout.reply, position=at, in_ms=in_ms, ulaw=g711.encode(pcm))

    def _narrowed(self, position: int, pcm: bytes) -> bytes:
        """A wide-band line's audio for the tape: from an even position, an even number of samples."""
        if position % 2:
            pcm = (self._odd or pcm[:2]) + pcm
        even = len(pcm) // 4 * 4
        self._odd = pcm[even:]
        return self._downsampler.downsample(pcm[:even])

    def _taped_name(self, mark: Mark) -> str:
        reply = mark.name.rpartition(".")[0]
        return f"{reply}.{mark.position * NARROW.per_ms // self._per_ms}"
