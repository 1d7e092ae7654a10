"""The two sides of a call, laid out on one time axis until they can be written. Sans-I/O.

Pieces come with their places, in samples of the line's rate since the call began. What is missing is silence.
"""

from bisect import bisect_right

import numpy as np
from numpy.typing import NDArray

MAX_AHEAD_S = 60  # of the agent's audio before the caller's; what lies further ahead is not kept

Stereo = NDArray[np.int16]  # [samples, 2]: the caller, the agent


class Tracks:
    """The tracks of one call, from the first sample that is not yet written."""

    def __init__(self, rate: int, settle: int = 0) -> None:
        """`settle` is for how many samples what was laid for the agent may still be cut off."""
        self.written = 0  # samples taken
        self._settle = settle
        self._most = MAX_AHEAD_S * rate
        self._caller = bytearray()  # PCM16 from there on, as is the agent's
        self._agent = bytearray()
        self._switches: list[int] = []  # where recording was paused and resumed, in turns

    @property
    def length(self) -> int:
        """Samples of the call so far."""
        return self.written + len(self._caller) // 2

    def caller(self, at: int, pcm: bytes) -> None:
        """The next piece of the caller's audio. If it does not follow the last one, what is between was lost."""
        self._caller += bytes(2 * max(0, at - self.length))
        self._caller += pcm

    def agent(self, at: int, pcm: bytes) -> None:
        """A piece of the agent's audio."""
        late = max(0, self.written - at)
        pcm, start = pcm[2 * late :], 2 * (at + late - self.written)
        pcm = pcm[: max(0, 2 * self._most + len(self._caller) - start)]
        if pcm:
            self._agent += bytes(max(0, start - len(self._agent)))
            self._agent[start : start + len(pcm)] = pcm

    def cut(self, at: int) -> None:
        """The agent is not heard from here on."""
        del self._agent[2 * max(0, at - self.written) :]

    def switch(self, at: int, *, on: bool) -> None:
        """Recording pauses or goes on: while it is off both sides are silent."""
        if on == bool(len(self._switches) % 2):
            self._switches.append(max(at, self.written))

    def take(self, *, rest: bool = False) -> Stereo:
        """What can be written now; with `rest` all of it, up to the caller's last sample."""
        count = max(0, len(self._caller) // 2 - (0 if rest else self._settle))
        stereo = np.zeros((count, 2), np.int16)
        stereo[:, 0] = np.frombuffer(self._caller, "<i2", count)
        heard = min(count, len(self._agent) // 2)
        stereo[:heard, 1] = np.frombuffer(self._agent, "<i2", heard)
        del self._caller[: 2 * count], self._agent[: 2 * count]
        self._silence(stereo)
        self.written += count
        return stereo

    def _silence(self, stereo: Stereo) -> None:
        """Blank what is not to be recorded, and forget the switches that are over."""
        end = self.written + len(stereo)
        bounds = [*self._switches, *([end] if len(self._switches) % 2 else [])]
        for off, on in zip(bounds[::2], bounds[1::2], strict=True):
            stereo[max(0, off - self.written) : max(0, on - self.written)] = 0
        over = bisect_right(self._switches, end)
        del self._switches[: over - over % 2]
