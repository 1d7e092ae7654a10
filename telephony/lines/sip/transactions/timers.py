"""The deadlines of one user agent, and the times that RFC 3261 names.

Sans-I/O: the shell sleeps until `next_ms` and calls `run`. A stopped timer drops its action at once; its heap
entry goes when its time comes, or when most entries are stopped ones.
"""

import heapq
from collections.abc import Callable
from math import inf

T1 = 500.0  # ms: an estimate of the round trip, and the first pause between retransmissions
T2 = 4000.0  # the longest pause between them
T4 = 5000.0  # how long a message may stay in the network
GIVE_UP = 64 * T1  # how long a transaction waits for an answer

COMPACT_FROM = 64  # stopped timers that may stay in the heap

Action = Callable[[float], None]


class Timer:
    """One deadline. `stop` may be called at any time, and more than once."""

    __slots__ = ("_action", "_timers", "due_ms")

    def __init__(self, timers: "Timers", due_ms: float, action: Action) -> None:
        self.due_ms = due_ms
        self._action: Action | None = action
        self._timers = timers

    @property
    def running(self) -> bool:
        """Whether it is still to fire."""
        return self._action is not None

    def stop(self) -> None:
        """Never fire."""
        if self._action is not None:
            self._action = None
            self._timers.stopped()

    def fire(self, now_ms: float) -> None:
        """Fire, once."""
        action, self._action = self._action, None
        if action is not None:
            action(now_ms)


class Timers:
    """All deadlines, earliest first; simultaneous ones in the order they were set."""

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timer]] = []
        self._set = 0
        self._stopped = 0

    def __len__(self) -> int:
        """How many are still to fire."""
        return len(self._heap) - self._stopped

    def start(self, due_ms: float, action: Action) -> Timer:
        """Call `action(now_ms)` at `due_ms` or soon after."""
        timer = Timer(self, due_ms, action)
        self._set += 1
        heapq.heappush(self._heap, (due_ms, self._set, timer))
        return timer

    @property
    def next_ms(self) -> float:
        """When the next one is due; infinity if none is set."""
        self._drop_stopped()
        return self._heap[0][0] if self._heap else inf

    def run(self, now_ms: float) -> None:
        """Fire everything that is due."""
        while self.next_ms <= now_ms:
            heapq.heappop(self._heap)[2].fire(now_ms)

    def stopped(self) -> None:
        """One of these timers was stopped."""
        self._stopped += 1
        if self._stopped > COMPACT_FROM and self._stopped > len(self._heap) // 2:
            self._heap = [entry for entry in self._heap if entry[2].running]
            heapq.heapify(self._heap)
            self._stopped = 0

    def _drop_stopped(self) -> None:
        while self._heap and not self._heap[0][2].running:
            heapq.heappop(self._heap)
            self._stopped -= 1
