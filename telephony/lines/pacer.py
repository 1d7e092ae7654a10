"""Decides when the next frame of a call is due: every 20 ms by the clock, whenever the server's ticks come."""

from audio.rate import FRAME_MS

EARLY_MS = 5  # a 10 ms tick this much before a frame's time still sends the frame
# The frames' times follow their ticks, by this share of the distance and at most half a tick: a time between two ticks
# would be met now by one, now by the other, with gaps of 10 and 30 ms.
FOLLOW = 0.1
MOST_BEHIND = 10  # frames made up for after a stall; beyond that the peer has run dry anyway


class Pacer:
    """The clock of one call. `odd` calls use the other of two ticks, so that calls are spread over both."""

    def __init__(self, *, odd: bool = False) -> None:
        self._offset_ms = FRAME_MS / 2 if odd else 0.0
        self._due_ms: float | None = None
        self._phase_ms = 0.0  # how far the frames have shifted towards the ticks

    def frames(self, now_ms: float) -> int:
        """The number of frames due now: usually one at every second tick, more after a stall."""
        if self._due_ms is None:
            self._due_ms = now_ms + self._offset_ms
        late_ms = now_ms - self._due_ms - self._phase_ms
        if late_ms < -EARLY_MS:
            return 0
        behind = int((late_ms + EARLY_MS) / FRAME_MS) + 1
        if behind > MOST_BEHIND:
            self._due_ms, behind = now_ms, 1
        elif behind == 1:
            self._phase_ms = min(max(self._phase_ms + FOLLOW * late_ms, -EARLY_MS), EARLY_MS)
        self._due_ms += FRAME_MS * behind
        return behind
