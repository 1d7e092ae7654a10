"""What a call sounds like, for those who listen in: both sides on one time axis, as they are heard. Sans-I/O.

The time is the caller's audio. What the agent says is known before it is heard, and waits here for its time; what a
pause takes back is never given out. While the call is private both sides are silent.
"""

from collections import deque

from telephony.recordings.placement import Placement
from telephony.recordings.tracks import Tracks

BLOCK_MS = 40  # of one frame
BEHIND_MS = 280  # kept for a listener who reads slowly; beyond that their oldest audio is dropped
CALLER, AGENT = 0, 1  # kinds of frames

Frame = tuple[int, int, bytes]  # kind, place in samples of its track, PCM16


class Listening:
    """What one listener is still to be sent. `dropped` counts the frames they were too slow for."""

    def __init__(self) -> None:
        self.dropped = 0
        self._frames: deque[Frame] = deque(maxlen=2 * BEHIND_MS // BLOCK_MS)

    def put(self, frame: Frame) -> None:
        """The next frame."""
        self.dropped += len(self._frames) == self._frames.maxlen
        self._frames.append(frame)

    def take(self) -> list[bytes]:
        """All there is, as it goes over the WebSocket: 1 byte of kind, 4 of the place (big-endian, modulo 2**32), and
        PCM16."""
        frames = [bytes((kind,)) + (at % 2**32).to_bytes(4, "big") + pcm for kind, at, pcm in self._frames]
        self._frames.clear()
        return frames


class AudioTap:
    """Of one call; audio is mono PCM16 at the line's rate of `hz`. Times are samples since it was opened."""

    def __init__(self, hz: int, *, private: bool) -> None:
        self.listeners: set[Listening] = set()
        self._per_ms = hz // 1000
        self._block = BLOCK_MS * self._per_ms
        self._tracks = Tracks(hz)
        self._placement = Placement()
        self._now = 0
        if private:
            self.switch(on=False)

    def caller(self, pcm: bytes) -> None:
        """The next piece of the caller's audio."""
        self._tracks.caller(self._now, pcm)
        self._now += len(pcm) // 2
        if self._now - self._tracks.written >= self._block:
            self._give()

    def agent(self, pcm: bytes, in_ms: float, hole_ms: float | None) -> None:
        """Audio on its way to the caller's ear, see Listener.sent."""
        hole = None if hole_ms is None else round(hole_ms * self._per_ms)
        at = self._placement.lay(self._now, len(pcm) // 2, ahead=round(in_ms * self._per_ms), hole=hole)
        self._tracks.agent(at, pcm)

    def taken_back(self, ms: float) -> None:
        """The last of it will not be heard."""
        self._tracks.cut(self._placement.take_back(round(ms * self._per_ms)))

    def switch(self, *, on: bool) -> None:
        """The call is private, or no longer."""
        self._tracks.switch(self._now, on=on)

    def _give(self) -> None:
        begin = self._tracks.written
        stereo = self._tracks.take()
        for start in range(0, len(stereo), self._block):
            piece = stereo[start : start + self._block]
            for kind in (CALLER, AGENT):
                frame = kind, begin + start, piece[:, kind].tobytes()
                for listening in self.listeners:
                    listening.put(frame)
