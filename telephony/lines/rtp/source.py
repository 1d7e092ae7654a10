"""Where a peer's RTP comes from, and so where ours goes (symmetric RTP).

The address and port of the session description win, for good, as soon as anything valid comes from there. Any other
source is learned: a gateway that sends from another port, or a peer behind a NAT. It is followed from its first packet
on, but is on probation until it has sent a second of audio: if it falls silent before that, another source that sends
packets in sequence replaces it (RFC 3550, A.1). So a few stray packets that arrive before the peer's do not mute the
call.
"""

from ipaddress import IPv6Address, ip_address

from telephony.lines.rtp.packet import Packet
from telephony.lines.rtp.parameters import SocketAddress

PROVEN = 50  # packets after which a learned source is kept for good
IN_SEQUENCE = 3  # packets of another source that replaces
SILENT_MS = 100  # one that has been silent for so long


class RtpSource:
    """The source of one call's RTP. Every datagram is shown to `may_be`, then valid RTP to `take`."""

    def __init__(self, *, nat: bool) -> None:
        """With `nat` any IP may be the peer's; otherwise only the agreed one."""
        self.locked: SocketAddress | None = None  # the source whose RTP is accepted
        self.known: tuple[SocketAddress, ...] = ()  # the only possible sources from now on; empty while that is open
        self._nat = nat
        self._agreed: SocketAddress | None = None
        self._packets = 0  # of the locked one, while it is on probation
        self._heard_ms = 0.0
        self._other: tuple[SocketAddress, int, int] | None = (
            None  # its possible replacement, with SSRC and next sequence number
        )
        self._in_sequence = 0  # packets of the replacement

    def agree(self, address: SocketAddress | None) -> None:
        """Set the agreed address; None while the peer receives nothing."""
        self._agreed = None if address is None else (canonical(address[0]), address[1])
        if self.known:
            self._settle()

    def unlock(self) -> None:
        """Accept the next valid source."""
        self.locked, self.known = None, ()

    def may_be(self, source: SocketAddress) -> bool:
        """Whether packets from this source are worth reading."""
        if source == self.locked:
            return True
        agreed = self._agreed
        if agreed is None:
            return False
        host = canonical(source[0])
        if (host, source[1]) == agreed:
            return True
        return not self.known and (self._nat or host == agreed[0])

    def take(self, source: SocketAddress, packet: Packet, now_ms: float) -> bool:
        """Whether a valid packet is the peer's; it may lock its source, which must have passed `may_be`."""
        if source == self.locked:
            if not self.known:
                self._packets += 1
                self._heard_ms = now_ms
                if self._packets >= PROVEN:
                    self._settle()
            return True
        is_agreed = (canonical(source[0]), source[1]) == self._agreed
        if not (is_agreed or self.locked is None or self._takes_over(source, packet, now_ms)):
            return False
        self.locked = source
        self._packets, self._heard_ms, self._other = 1, now_ms, None
        if is_agreed:
            self._settle()
        return True

    def _settle(self) -> None:
        """The locked source is the peer; only the agreed address can still replace it."""
        assert self.locked is not None
        agreed = self._agreed
        is_agreed = agreed is None or (canonical(self.locked[0]), self.locked[1]) == agreed
        self.known = (self.locked,) if is_agreed or agreed is None else (self.locked, agreed)

    def _takes_over(self, source: SocketAddress, packet: Packet, now_ms: float) -> bool:
        """Whether another source replaces the one on probation."""
        expected = self._other == (source, packet.ssrc, packet.sequence)
        self._in_sequence = self._in_sequence + 1 if expected else 1
        self._other = source, packet.ssrc, packet.sequence + 1 & 0xFFFF
        return self._in_sequence >= IN_SEQUENCE and now_ms - self._heard_ms >= SILENT_MS


def canonical(host: str) -> str:
    """An IP in canonical form; IPv4 mapped into IPv6 as IPv4."""
    try:
        ip = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return str(ip)
