"""Watches how many files and sockets this process may open, and whether it is about to run out.

The system hands out the lowest free number. So the number of a newly opened socket shows, at no cost, how many are open
at least. Connections that get one of the last numbers are closed at once, so that there is always one left to answer
the next with a reason, and some for tapes and bookings.
"""

import resource
import socket
from contextlib import suppress

RESERVE = 16  # the last numbers, which neither calls nor connections may use
ENOUGH = 65_536


class Descriptors:
    """Those of this process, with the limit at the time of construction."""

    ADVICE = "out of file descriptors: %d may be open; raise LimitNOFILE in the unit, or ulimit -n"

    def __init__(self) -> None:
        self.limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self.out = False  # whether they were low at the last check
        self._last = self.limit - min(RESERVE, self.limit // 8)

    def spent(self, number: int) -> bool:
        """Whether a socket with this number is one of the last."""
        return self.limit != resource.RLIM_INFINITY and number >= self._last

    def low(self) -> bool:
        """Whether the next socket would be one of the last."""
        try:
            with socket.socket() as one:
                return self.spent(one.fileno())
        except OSError:
            return True

    def look(self) -> bool:
        """Check again; True if they have become low since the last check."""
        before, self.out = self.out, self.low()
        return self.out and not before


def raise_limit() -> None:
    """Raise the soft limit as far as the system allows: the usual 1024 is for programs that use `select`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH if hard == resource.RLIM_INFINITY else min(hard, ENOUGH)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
