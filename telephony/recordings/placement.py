"""Where the agent's audio lies on the time axis of a call, which is the caller's audio. Sans-I/O."""

from collections import deque

MAX_SPANS = 64  # stretches that may still be taken back; a line takes back a few seconds at most


class Placement:
    """Places what leaves for the caller's ear. All times are samples of the line's rate since the call began."""

    def __init__(self) -> None:
        self.end = 0  # of what was laid last
        self._spans: deque[list[int]] = deque(maxlen=MAX_SPANS)  # [start, end], in order, with holes between them

    def lay(self, now: int, length: int, *, ahead: int, hole: int | None) -> int:
        """Where a piece of audio begins that is heard in `ahead` samples from now. `hole` is the silence between it and
        the piece before, where the line knows that: it counts samples, whereas the time moves on in frames."""
        start = max(self.end, now + ahead) if hole is None else self.end + hole
        self.end = start + length
        if self._spans and self._spans[-1][1] == start:
            self._spans[-1][1] = self.end
        elif length:
            self._spans.append([start, self.end])
        return start

    def take_back(self, count: int) -> int:
        """The last samples will not be heard, so many of them: where the silence begins."""
        while self._spans and count:
            start, end = self._spans[-1]
            if end - start > count:
                self._spans[-1][1] = self.end = end - count
                return self.end
            count -= end - start
            self._spans.pop()
            self.end = start
        return self.end
