"""Where a peer's RTP comes from, and so where ours goes (symmetric RTP).

The address and port of the session description win, for good, as soon as anything valid comes from there. Another
source is learned: a gateway that sends from a port of its own, or a peer behind a NAT. It is followed from its first
packet on, but is on probation until it has sent a second of audio: if it goes silent before that, another one that
sends packets in sequence takes its place (RFC 3550, A.1). So a few stray packets that reach the port before the peer's
leave nobody mute.
"""

from ipaddress import IPv6Address, ip_address

from telephony.lines.rtp.packet import Packet
from telephony.lines.rtp.parameters import SocketAddress

PROVEN = 50  # packets after which a learned source is taken for good
IN_SEQUENCE = 3  # packets of another one that takes the place of
SILENT_MS = 100  # one that has sent nothing for so long


class Source:
    """One call's. Every datagram is shown to `may_be`; what is valid RTP then to `take`."""

    def __init__(self, *, nat: bool) -> None:
        """With `nat` any IP may be the peer's; else only the one that was agreed on."""
        self.locked: SocketAddress | None = None  # whose RTP is taken
        self.known: tuple[SocketAddress, ...] = ()  # who alone can be the peer from now on; none while that is open
        self._nat = nat
        self._agreed: SocketAddress | None = None
        self._packets = 0  # of the locked one, while it is on probation
        self._heard_ms = 0.0
        self._other: tuple[SocketAddress, int, int] | None = None  # who may take its place, its SSRC and next number
        self._in_sequence = 0  # packets of theirs

    def agree(self, address: SocketAddress | None) -> None:
        """The address that was agreed on last; None while the peer takes nothing."""
        self._agreed = None if address is None else (canonical(address[0]), address[1])
        if self.known:
            self._settle()

    def unlock(self) -> None:
        """Take the next valid source."""
        self.locked, self.known = None, ()

    def may_be(self, source: SocketAddress) -> bool:
        """Whether what comes from there is worth reading."""
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
        """Whether a valid packet is the peer's; it may lock its source, which has passed `may_be`."""
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
        """The locked one is the peer; only the address that was agreed on can still be."""
        assert self.locked is not None
        agreed = self._agreed
        is_agreed = agreed is None or (canonical(self.locked[0]), self.locked[1]) == agreed
        self.known = (self.locked,) if is_agreed or agreed is None else (self.locked, agreed)

    def _takes_over(self, source: SocketAddress, packet: Packet, now_ms: float) -> bool:
        """Whether another takes the place of one on probation."""
        expected = self._other == (source, packet.ssrc, packet.sequence)
        self._in_sequence = self._in_sequence + 1 if expected else 1
        self._other = source, packet.ssrc, packet.sequence + 1 & 0xFFFF
        return self._in_sequence >= IN_SEQUENCE and now_ms - self._heard_ms >= SILENT_MS


def canonical(host: str) -> str:
    """An IP in its one way of writing; IPv4 in IPv6 as IPv4."""
    try:
        ip = ip_address(host.partition("%")[0])
    except ValueError:
        return host
    if isinstance(ip, IPv6Address) and ip.ipv4_mapped is not None:
        ip = ip.ipv4_mapped
    return str(ip)
