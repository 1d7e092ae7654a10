"""A session's deadlines, in media time. Sans-I/O."""

from enum import StrEnum
from math import inf


class Timer(StrEnum):
    """Deadlines in media time."""

    SILENCE = "silence"  # the caller says nothing
    DIGITS = "digits"  # no further key
    TURN = "turn"  # the caller's turn is too long
    CALL = "call"  # the call is too long


class Timers:
    """Which deadlines are set. `next_ms` is the earliest, infinity where there is none."""

    def __init__(self) -> None:
        self.next_ms = inf
        self._at_ms: dict[Timer, float] = {}

    def set(self, timer: Timer, at_ms: float) -> None:
        """Set it, or set it anew."""
        self._at_ms[timer] = at_ms
        self.next_ms = min(self._at_ms.values())

    def is_set(self, timer: Timer) -> bool:
        """Whether it is set."""
        return timer in self._at_ms

    def unset(self, timer: Timer) -> None:
        """Forget it; one that is not set is ignored."""
        if self._at_ms.pop(timer, None) is not None:
            self.next_ms = min(self._at_ms.values(), default=inf)

    def due(self, now_ms: float) -> list[Timer]:
        """Take those whose time has come."""
        due = [timer for timer, at_ms in self._at_ms.items() if at_ms <= now_ms]
        for timer in due:
            self.unset(timer)
        return due
