"""One clock for all calls: a beat every 20 ms for each, on an absolute schedule that never drifts.

The calls' beats are spread over ten slots of 2 ms, as the frames of independent callers are.
"""

import asyncio
import math
import time
from collections.abc import Callable

PERIOD = 0.020  # s
SLOTS = 10
SLOT = PERIOD / SLOTS
EARLY = 0.0005  # s; a timer may fire this much early


class Ticker:
    """Calls back every member once a period."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.clock = clock
        self._base = clock()
        self._slots: list[dict[int, Callable[[float], None]]] = [{} for _ in range(SLOTS)]
        self._place: dict[int, int] = {}
        self._next = 0  # the next beat, counted in slots from the base
        self._timer: asyncio.TimerHandle | None = None
        self._ids = 0

    def add(self, tick: Callable[[float], None], origin: float) -> int:
        """Call `tick(now)` 1 to 3 ms after each of origin + 20 ms, + 40 ms, …; returns what `remove` takes."""
        self._ids += 1
        slot = math.ceil((origin + 2 * EARLY - self._base) / SLOT) % SLOTS
        self._slots[slot][self._ids] = tick
        self._place[self._ids] = slot
        if self._timer is not None:
            self._timer.cancel()
        self._schedule()
        return self._ids

    def remove(self, member: int) -> None:
        """Stop a member's beats; unknown members are ignored."""
        slot = self._place.pop(member, None)
        if slot is not None:
            del self._slots[slot][member]
        if not self._place and self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _schedule(self) -> None:
        """Set the timer for the next slot with a member. Missed beats are not made up for: members called late see it
        by the time and send what is due.
        """
        now = self.clock()
        self._next = max(self._next, math.floor((now - self._base) / SLOT))
        while not self._slots[self._next % SLOTS]:
            self._next += 1
        delay = self._base + self._next * SLOT - now
        self._timer = asyncio.get_running_loop().call_later(max(0.0, delay), self._beat)

    def _beat(self) -> None:
        self._timer = None
        now = self.clock()
        while self._base + self._next * SLOT <= now + EARLY:
            for tick in list(self._slots[self._next % SLOTS].values()):
                tick(self.clock())
            self._next += 1
            if now - (self._base + self._next * SLOT) > PERIOD:  # held up: all members are called at once
                self._next = math.floor((now - self._base) / SLOT) - SLOTS + 1
        if self._place and self._timer is None:
            self._schedule()
