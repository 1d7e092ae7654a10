"""When packets came: as the kernel stamped them, and what that says of whoever sent them."""

import socket
import struct
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress

from telephony.caller.playback import UNDERRUN_WINDOW
from telephony.rtp.codec import FRAME, PCMA, PCMU, Coder
from telephony.rtp.jitter import JitterBuffer
from telephony.rtp.packet import Packet
from telephony.rtp.parameters import Address
from telephony.rtp.rate import FRAME_MS

SO_TIMESTAMPNS = 35  # Linux; Python has no name for it
STAMP = struct.Struct("@ll")  # seconds and nanoseconds
MAX_DATAGRAM = 2048  # bytes; audio has 172
AT_ONCE = 64  # datagrams that are read before others have their turn
SILENCES = frozenset((PCMU.silence, PCMA.silence))
MAX_SILENT_BYTES = 8  # of silence in Opus; a voice has 40 and more


def stamp(sock: socket.socket) -> None:
    """Have the kernel stamp what comes; elsewhere than on Linux the time of reading counts."""
    if sys.platform == "linux":
        with suppress(OSError):
            sock.setsockopt(socket.SOL_SOCKET, SO_TIMESTAMPNS, 1)


def receive(sock: socket.socket) -> Iterator[tuple[bytes, Address, float]]:
    """What has come, each datagram with its source and how many ms ago the kernel got it."""
    with suppress(BlockingIOError, InterruptedError):
        for _ in range(AT_ONCE):
            try:
                data, extra, _, source = sock.recvmsg(MAX_DATAGRAM, 64)
            except ConnectionError:
                continue  # an ICMP error for what was sent earlier
            yield data, (source[0], source[1]), _age_ms(extra)


def _age_ms(extra: list[tuple[int, int, bytes]]) -> float:
    for level, kind, value in extra:
        if level == socket.SOL_SOCKET and kind == SO_TIMESTAMPNS and len(value) >= STAMP.size:
            seconds, nanoseconds = STAMP.unpack_from(value)
            came_ns: int = seconds * 1_000_000_000 + nanoseconds
            return max(0.0, (time.time_ns() - came_ns) / 1e6)
    return 0.0


class Arrivals(JitterBuffer):
    """A jitter buffer that also tells how packets are spaced (ms), and where a voice broke off and went on soon: when
    (ms), and for how many ms. Such a voice was not ready in time."""

    def __init__(self, arrived: Callable[[float], None], broke_off: Callable[[float, float], None]) -> None:
        super().__init__()
        self._arrived = arrived
        self._broke_off = broke_off
        self._last_ms: float | None = None
        self._spoke = False
        self._silent = 0  # packets of silence since the voice

    def push(self, packet: Packet, pcm: bytes, now_ms: float, coder: Coder | None = None) -> bool:
        """See JitterBuffer."""
        if self._last_ms is not None:
            self._arrived(now_ms - self._last_ms)
        self._last_ms = now_ms
        if packet.payload in SILENCES or (coder is not None and len(packet.payload) <= MAX_SILENT_BYTES):
            self._silent += 1
        else:
            # A pause within a reply has no marker behind it: only a queue that had run dry has.
            if packet.marker and self._spoke and 0 < self._silent * FRAME <= UNDERRUN_WINDOW:
                self._broke_off(now_ms - self._silent * FRAME_MS, self._silent * FRAME_MS)
            self._spoke, self._silent = True, 0
        return super().push(packet, pcm, now_ms, coder)
