"""Sorts the lines that tell the story of a call by time, wherever they come from."""

import heapq
import itertools
import threading
from collections.abc import Callable
from types import TracebackType
from typing import Self


class Timeline:
    """Passes lines on in order; each begins with its time in seconds. What the agent said is told only once it is over,
    so each line waits for the next of these, or for the end."""

    def __init__(self, on_line: Callable[[str], None]) -> None:
        self._on_line = on_line
        self._waiting: list[tuple[float, int, str]] = []
        self._order = itertools.count()
        self._lock = threading.Lock()  # a server's log is read in its own thread

    def add(self, line: str) -> None:
        """Take the next line."""
        at = float(line.split(maxsplit=1)[0])
        with self._lock:
            heapq.heappush(self._waiting, (at, next(self._order), line))
            if " agent " in line.partition("▸")[0]:
                self._pass_on(at)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """The call is over: pass the rest on."""
        with self._lock:
            self._pass_on(float("inf"))

    def _pass_on(self, until: float) -> None:
        while self._waiting and self._waiting[0][0] <= until:
            self._on_line(heapq.heappop(self._waiting)[2])
