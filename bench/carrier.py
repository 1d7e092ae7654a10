"""A carrier in virtual time, exact to the sample: what reaches the caller's ear from a playout, and where it
belongs."""

import numpy as np
from numpy.typing import NDArray

from telephony.lines.playout import Mark, Playout


class Carrier:
    """A carrier `delay` ms away (each direction), exact to the sample; its clock goes in steps of some ms."""

    def __init__(self, playout: Playout, delay: int, per_ms: int = 8) -> None:
        """`per_ms`: samples per ms."""
        self.playout = playout
        self._per_ms = per_ms
        self._delay = delay
        self._now = 0
        self._position = 0  # of the next sample handed over
        self._coming: list[tuple[int, object]] = []  # (when, PCM with its position | Mark | "clear")
        self._marks: list[tuple[int, str]] = []  # on their way back
        self._buffer: list[tuple[int, bytes] | Mark] = []  # audio with its position, and marks between it
        self._heard: list[tuple[int, bytes]] = []

    def run(self, ms: int, step: int = 1) -> None:
        """Let time pass."""
        for _ in range(0, ms, step):
            for item in self.playout.take(self._now):
                self._coming.append((self._now + self._delay, item))
            self._step(step)

    def pause(self, ms: int) -> None:
        """Pause for this many ms, then resume."""
        fade, heard_ms = self.playout.pause(self._now)
        position = round(self._per_ms * heard_ms)
        self._coming += [(self._now + self._delay, "clear"), (self._now + self._delay, (position, fade))]
        self._coming.append((self._now + self._delay, ("next", position)))
        for _ in range(ms):
            self._step(1)
        self.playout.resume(self._now)

    def ear(self) -> list[tuple[int, NDArray[np.int16]]]:
        """Everything heard: the position in the reply where it belongs, and the samples."""
        return [(position, np.frombuffer(data, "<i2")) for position, data in self._heard]

    def _step(self, ms: int) -> None:
        while self._coming and self._coming[0][0] <= self._now:
            self._arrive(self._coming.pop(0)[1])
        self._play(2 * self._per_ms * ms)
        self._now += ms
        while self._marks and self._marks[0][0] <= self._now:
            self.playout.returned(self._marks.pop(0)[1], self._now)

    def _arrive(self, item: object) -> None:
        match item:
            case bytes():
                self._buffer.append((self._position, item))
                self._position += len(item) // 2
            case Mark():
                self._buffer.append(item)
            case "clear":
                marks = [waiting for waiting in self._buffer if isinstance(waiting, Mark)]
                self._buffer.clear()
                self._return(marks)
            case ("next", int(position)):
                self._position = position
            case (int(position), bytes(fade)):
                self._buffer.append((position, fade))

    def _play(self, count: int) -> None:
        while self._buffer:
            first = self._buffer[0]
            if isinstance(first, Mark):
                self._return([first])
                del self._buffer[0]
                continue
            if not count:
                return
            position, data = first
            self._heard.append((position, data[:count]))
            rest = data[count:]
            count -= len(data) - len(rest)
            self._buffer[:1] = [(position + (len(data) - len(rest)) // 2, rest)] if rest else []

    def _return(self, marks: list[Mark]) -> None:
        self._marks += [(self._now + 1 + self._delay, mark.name) for mark in marks]
