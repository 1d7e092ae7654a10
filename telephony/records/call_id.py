"""Ids of calls on record: 63-bit numbers in the order of the calls' beginnings, written as 16 hex digits.

The upper 42 bits are milliseconds of Unix time, the lower 21 are random. So the primary key is the order that lists are
in, pages follow it, and a span of time is a span of ids.
"""

import re
import secrets

RANDOM_BITS = 21
MAX_MS = 2**42 - 1
SET_BACK_MS = 1000  # a clock that far behind the last id was set back; less is a rush of calls
TEXT = re.compile(r"[0-9a-f]{16}")


class CallIds:
    """Makes the ids of one server: none twice, and each greater than the one before unless the clock was set back."""

    def __init__(self) -> None:
        self._last = 0

    def new(self, at_ms: int) -> int:
        """For a call that begins at this Unix time in ms."""
        wanted = first_id(at_ms) | secrets.randbits(RANDOM_BITS)
        set_back = wanted < self._last - first_id(SET_BACK_MS)
        self._last = wanted if set_back else max(wanted, self._last + 1)
        return self._last


def first_id(at_ms: int) -> int:
    """The lowest id of a millisecond; times out of range are moved to the nearest in it."""
    return min(max(at_ms, 0), MAX_MS) << RANDOM_BITS


def show(number: int) -> str:
    """As a person or a program is shown it."""
    return f"{number:016x}"


def parse(text: str) -> int | None:
    """The number of an id as it is shown; None if it is none."""
    return int(text, 16) if TEXT.fullmatch(text) and int(text, 16) < 2**63 else None
