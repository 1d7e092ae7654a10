"""How many files and sockets this process may have open, and whether it is about to run out of them.

The system gives the lowest number that is free. So the number of a socket that has just been opened tells, at no cost,
how many there are at least; and when connections with one of the last numbers are closed again at once, there is always
one left to answer the next with a reason, and some for tapes and bookings.
"""

import resource
import socket
from contextlib import suppress

RESERVE = 16  # of the numbers: neither calls nor connections may have the last ones
ENOUGH = 65_536


class Descriptors:
    """Of this process, as the limit was when this was made."""

    ADVICE = "out of file descriptors: %d may be open; raise LimitNOFILE in the unit, or ulimit -n"

    def __init__(self) -> None:
        self.limit = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
        self.out = False  # whether they had run low at the last look
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
        """Look at them again; whether they have run low since the last look."""
        before, self.out = self.out, self.low()
        return self.out and not before


def raise_limit() -> None:
    """Allow this process as many as the system lets it have: the usual 1024 are for programs that use `select`."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = ENOUGH if hard == resource.RLIM_INFINITY else min(hard, ENOUGH)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        with suppress(OSError, ValueError):
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
