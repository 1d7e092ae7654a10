"""How long the caller has been silent: the voice detector's verdict, made exact by loudness. Sans-I/O.

The detector lets go of speech late where a word ends hard and early where it ends softly, by some 100 ms either way;
and speech that goes on has begun some 50 ms before the detector is sure of it. How loud the caller's frames are shows
both at once, wherever speech stands out of the line's noise.
"""

from collections import deque
from collections.abc import Callable
from math import inf

FLOOR_FRAMES = 200  # frames, 4 s, whose quietest tenth is the line's noise
ABOVE_FLOOR = 2.0  # a frame is loud at twice that (6 dB), ...
RANGE = 0.04  # and at a 25th (-28 dB) of the loudest of the burst, ...
LEAST_RANGE = 0.126  # and always at an 8th (-18 dB): where there was no pause, the quietest tenth is speech
BEFORE_MS, BEHIND_MS = 64, 96  # speech ended at most so long before, or behind, its last window
RISING_FRAMES = 3  # a loud frame among the last of these: speech may be going on


class Silence:
    """Follows one call's frames."""

    def __init__(self) -> None:
        self._now_ms = 0.0
        self._frames: deque[tuple[float, int]] = deque(maxlen=FLOOR_FRAMES)  # where each ends, and its RMS
        self._spoke_ms = -1  # where the last window of speech ended, at the last look
        self._loud = inf  # RMS above which a frame is loud

    def add(self, ms: float, rms: int) -> None:
        """The next frame."""
        self._now_ms += ms
        self._frames.append((self._now_ms, rms))

    def skip(self, ms: float) -> None:
        """Time in which nobody listened."""
        self._now_ms += ms

    def end_ms(self, spoke_ms: int, burst: Callable[[], float]) -> float:
        """Where speech ended whose last window ended at `spoke_ms`; `burst` gives the RMS of its loudest frames, and is
        asked once for each such end."""
        if spoke_ms != self._spoke_ms:
            self._spoke_ms, self._loud = spoke_ms, self._threshold(burst())
        if self._loud == inf:
            return spoke_ms
        for at_ms, rms in reversed(self._frames):
            if at_ms <= spoke_ms - BEFORE_MS:
                break
            if at_ms <= spoke_ms + BEHIND_MS and rms > self._loud:
                return at_ms
        return spoke_ms - BEFORE_MS

    @property
    def rising(self) -> bool:
        """Whether a sound as loud as speech has just come, after a look at the silence before it."""
        frames = self._frames
        return any(frames[-number][1] > self._loud for number in range(1, min(RISING_FRAMES, len(frames)) + 1))

    def _threshold(self, burst: float) -> float:
        frames = sorted(rms for _, rms in self._frames)
        quietest = frames[: max(1, len(frames) // 10)]
        floor = sum(quietest) / len(quietest) if quietest else 0.0
        if burst <= ABOVE_FLOOR * floor:
            return inf  # no louder than the line: loudness tells nothing
        return max(RANGE * burst, min(ABOVE_FLOOR * floor, LEAST_RANGE * burst))
