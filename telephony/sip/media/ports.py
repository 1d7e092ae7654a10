"""The sockets of one call's audio: RTP on a random even port of a range, RTCP on the next."""

import random
import socket
from collections.abc import Callable
from contextlib import suppress

from telephony.exceptions import LineError
from telephony.rtp.parameters import Address
from telephony.sip.sockets import bind_udp

TRIES = 64
MAX_DATAGRAM = 2048  # bytes; G.711 has 172
RECEIVE_BUFFER = 65_536  # bytes that the kernel keeps of a peer that floods
AT_ONCE = 16  # datagrams that are read before others have their turn


class NoPort(LineError):
    """Every port that was tried is taken."""


class MediaSockets:
    """Both sockets, bound, non-blocking."""

    def __init__(self, host: str, first: int, last: int, choose: Callable[[int], int] | None = None) -> None:
        """Ports from `first` to `last`; `choose(n)` gives a number below n. Raises NoPort."""
        choose = choose or random.SystemRandom().randrange
        for _ in range(TRIES):
            port = (first + 1) // 2 * 2 + 2 * choose((last + 1) // 2 - (first + 1) // 2)
            bound: list[socket.socket] = []
            try:
                for number in (port, port + 1):
                    bound.append(bind_udp(host, number))
                    bound[-1].setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
            except OSError:
                for opened in bound:
                    opened.close()
                continue
            self.audio, self.control = bound
            self.port = port
            return
        raise NoPort(f"no free pair of ports from {first} to {last} on {host}")

    def close(self) -> None:
        """Let go of both ports."""
        self.audio.close()
        self.control.close()


def receive(sock: socket.socket, take: Callable[[bytes, Address], None]) -> None:
    """Give what has come to `take`, a bounded number at once; the loop asks again while there is more."""
    with suppress(BlockingIOError, InterruptedError):
        for _ in range(AT_ONCE):
            try:
                data, source = sock.recvfrom(MAX_DATAGRAM)
            except ConnectionError:
                continue  # an ICMP error for what was sent earlier
            take(data, (source[0], source[1]))


def send(sock: socket.socket, data: bytes | None, to: Address | None) -> None:
    """Send a datagram, if there is one; like the network, this may lose it."""
    if data is not None and to is not None:
        with suppress(OSError):
            sock.sendto(data, to)
