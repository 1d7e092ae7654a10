"""Limits log lines that strangers cause, so that a flood of requests does not flood the log as well."""

import logging
import time
from collections.abc import Callable, Collection

MAX_KINDS = 200  # told apart at most; the code has fewer, but a library may format its messages itself


class LogLimit(logging.Filter):
    """A handler's filter: of the lines of some loggers it lets `burst` of a kind through at once, and then `per_s` a
    second. The next line of that kind says how many were left out (`left_out`).

    A kind is a message as it stands in the code, before its arguments are filled in: there are only so many of them,
    and what a flood repeats leaves room for lines that tell of something else.
    """

    def __init__(
        self,
        loggers: Collection[str],
        burst: int = 20,
        per_s: float = 1.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """`loggers` by name, without those below them; `clock` gives seconds."""
        super().__init__()
        self._loggers = frozenset(loggers)
        self._burst = burst
        self._per_s = per_s
        self._clock = clock
        self._kinds: dict[str, _Kind] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """See logging.Filter."""
        if record.name not in self._loggers:
            return True
        now_s = self._clock()
        kind = self._kind(str(record.msg), now_s)
        kind.tokens = min(self._burst, kind.tokens + self._per_s * (now_s - kind.seen_s))
        kind.seen_s = now_s
        if kind.tokens < 1:
            kind.left_out += 1
            return False
        kind.tokens -= 1
        if kind.left_out:
            record.left_out = kind.left_out
            kind.left_out = 0
        return True

    def _kind(self, message: str, now_s: float) -> "_Kind":
        """The kind of a line; beyond MAX_KINDS all new ones count as one."""
        kind = self._kinds.get(message)
        if kind is None:
            if len(self._kinds) >= MAX_KINDS:
                rested_s = self._burst / self._per_s
                fresh = {text: kind for text, kind in self._kinds.items() if now_s - kind.seen_s < rested_s}
                self._kinds = fresh
                message = message if len(fresh) < MAX_KINDS else ""
            kind = self._kinds.setdefault(message, _Kind(self._burst, now_s))
        return kind


class _Kind:
    """How many lines of one kind may follow, and how many were left out since the last."""

    def __init__(self, tokens: float, seen_s: float) -> None:
        self.tokens = tokens
        self.seen_s = seen_s
        self.left_out = 0
