"""A page's ear, sample by sample: what worklet.js does, for tests of what is sent to it."""

import numpy as np

from telephony.lines.browser.messages import Block, Heard, Stopped

FADE = 320


class Ear:
    """Plays what it is sent; `sum` adds up everything heard at each position, fades included."""

    def __init__(self) -> None:
        self.epoch = 0
        self.heard = 0
        self.sum: dict[int, int] = {}
        self._queue: list[int] = []

    @property
    def told(self) -> Heard:
        """What goes with the caller's next frame."""
        return Heard(self.epoch, self.heard, self.heard + len(self._queue), 0)

    def take(self, block: Block) -> None:
        """Audio has come."""
        if block.epoch == self.epoch:
            assert block.position == self.heard + len(self._queue)
            self._queue += np.frombuffer(block.pcm, "<i2").tolist()

    def play(self, samples: int) -> None:
        """Time passes."""
        for sample in self._queue[:samples]:
            self._add(self.heard, sample)
            self.heard += 1
        del self._queue[:samples]

    def clear(self, epoch: int) -> Stopped:
        """Fall silent."""
        count = min(FADE, len(self._queue))
        fade = (np.array(self._queue[:count], "<i2") * np.linspace(1, 0, count, endpoint=False)).astype("<i2")
        for offset, sample in enumerate(fade.tolist()):
            self._add(self.heard + offset, sample)
        self._queue.clear()
        self.epoch = epoch
        return Stopped(epoch, self.heard, count)

    def _add(self, position: int, sample: int) -> None:
        self.sum[position] = self.sum.get(position, 0) + sample
