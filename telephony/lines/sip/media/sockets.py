"""The sockets of one call's audio: RTP on a random even port of a range, RTCP on the next.

They are read when the call's next frame is due, not when a packet arrives: between two frames a packet changes nothing,
and every wake-up of the loop costs as much as the frame itself. The kernel records the time of arrival.
"""

import errno
import os
import random
import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from telephony.lines.descriptors import Descriptors
from telephony.lines.exceptions import LineError
from telephony.lines.rtp import packet
from telephony.lines.rtp.parameters import SocketAddress
from telephony.lines.sip.network.sockets import bind_udp

TRIES = 64
MAX_DATAGRAM = packet.MAX_BYTES
RECEIVE_BUFFER = 65_536  # bytes for the kernel to buffer when a peer floods
AT_ONCE = 64  # datagrams read before other calls have their turn
# The kernel stamps by the wall clock, which may be set at any time; a packet that has waited longer than this belongs
# to a stall that is not made up for (see pacer.py).
MAX_AGE_MS = 200.0
SO_TIMESTAMPNS = 35  # Linux; Python has no name for it
STAMP = struct.Struct("@ll")  # seconds and nanoseconds


class NoPort(LineError):
    """All ports tried are taken, or this process may open no more sockets."""


class MediaSockets:
    """Both sockets, bound, non-blocking."""

    def __init__(self, host: str, first: int, last: int, choose: Callable[[int], int] | None = None) -> None:
        """Ports from `first` to `last`; `choose(n)` gives a number below n. Raises NoPort."""
        choose = choose or random.SystemRandom().randrange
        descriptors = Descriptors()
        for _ in range(TRIES):
            port = (first + 1) // 2 * 2 + 2 * choose((last + 1) // 2 - (first + 1) // 2)
            bound: list[socket.socket] = []
            try:
                for number in (port, port + 1):
                    bound.append(bind_udp(host, number))
                    bound[-1].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
                    _stamp(bound[-1])
                if descriptors.spent(bound[-1].fileno()):
                    raise OSError(errno.EMFILE, os.strerror(errno.EMFILE))
            except OSError as error:
                for opened in bound:
                    opened.close()
                if error.errno in (errno.EMFILE, errno.ENFILE):
                    raise NoPort(descriptors.ADVICE % descriptors.limit) from None
                continue
            self.audio, self.control = bound
            self.port = port
            return
        raise NoPort(f"no free pair of ports from {first} to {last} on {host}")

    def close(self) -> None:
        """Let go of both ports."""
        self.audio.close()
        self.control.close()


def receive(sock: socket.socket) -> Iterator[tuple[bytes, SocketAddress, float]]:
    """The datagrams received, a bounded number at once: each with its source and its age in ms since the kernel got it,
    as far as known: 0 to 200."""
    for _ in range(AT_ONCE):
        try:
            data, extra, _, source = sock.recvmsg(MAX_DATAGRAM, 64)
        except ConnectionError:
            continue  # an ICMP error for an earlier packet
        except (BlockingIOError, InterruptedError):
            return
        yield data, (source[0], source[1]), _age_ms(extra)


def send(sock: socket.socket, data: bytes | None, to: SocketAddress | None) -> None:
    """Send a datagram, if there is one; as on the network, it may be lost."""
    if data is not None and to is not None:
        with suppress(OSError):
            sock.sendto(data, to)


def _stamp(sock: socket.socket) -> None:
    """Have the kernel timestamp packets; on other systems than Linux the time of reading counts."""
    if sys.platform == "linux":
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)


def _age_ms(extra: list[tuple[int, int, bytes]]) -> float:
    for level, kind, value in extra:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS and len(value) >= STAMP.size:
            seconds, nanoseconds = STAMP.unpack_from(value)
            came_ns: int = seconds * 1_000_000_000 + nanoseconds
            return min(max(0.0, (time.time_ns() - came_ns) / 1e6), MAX_AGE_MS)
    return 0.0
