"""Access to the SIP port, checked for every packet before it is parsed.

Trunks are the networks on the allow-list: they have a bucket of their own and are never banned. Everybody else is a
stranger: let in only where digest is on, and held to a rate each and to one all together. A phone that has shown a
password from an address and port, or that we have called there, is known, and has a bucket apart from the strangers'.

The sender of a datagram can be forged, and a flood can come in anybody's name. So nothing that a datagram does counts
against its address unless that has proven that it hears us (see `failed`); streams have buckets of their own, which
datagrams cannot empty; and a datagram for which there is no room is let in all the same when it answers a challenge of
ours, or when it comes again as a SIP client repeats it: the same bytes after half a second and more.

IPv6 is counted by /64, which is what one customer gets. Of the addresses, the ones heard of last are kept.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from ipaddress import ip_network
from socket import AF_INET, AF_INET6, inet_pton
from typing import TypeVar

import msgspec

from telephony.lines.sip.syntax.address import Address

AGAIN_MS = 400, 35_000  # the times between a datagram and its retransmission (RFC 3261: from T1 on, in 64 of them)
COMPARED = 2048  # bytes of a datagram that identify it

Answers = Callable[[bytes, str], bool]

_K = TypeVar("_K")
_V = TypeVar("_V")


class RateLimit(msgspec.Struct, frozen=True):
    """The limits of a token bucket: packets a second in the long run, and packets at once."""

    per_second: float
    burst: float


class GuardSettings(msgspec.Struct, frozen=True):
    """The guard's limits."""

    trunk: RateLimit = RateLimit(2000, 4000)  # each address of a trunk
    known: RateLimit = RateLimit(50, 100)  # each address and port that has authenticated, or that we have called
    stranger: RateLimit = RateLimit(20, 60)  # each address of a stranger
    strangers: RateLimit = RateLimit(200, 400)  # all strangers together
    reserve: RateLimit = RateLimit(
        200, 400
    )  # datagrams that answer a challenge, or are retransmitted, when there is no room
    failures: int = 10  # that start a ban
    window_ms: float = 60_000  # over which failures are counted
    ban_ms: float = 600_000
    known_ms: float = 7_200_000  # after authenticating
    max_addresses: int = 10_000
    max_refused: int = 32_768  # remembered datagrams


class GuardCounters(msgspec.Struct):
    """Packets by their fate, and bans."""

    admitted: int = 0
    reserved: int = 0  # of the admitted: those that used the reserve
    not_allowed: int = 0  # strangers, if none are admitted
    banned: int = 0  # packets from a banned address
    limited: int = 0  # by the bucket of the address
    crowded: int = 0  # by the bucket of all strangers
    bans: int = 0


class Guard:
    """Keeps the buckets, failures and ban of every address. Times are in ms and never go back."""

    def __init__(
        self,
        trunks: Iterable[str] = (),
        *,
        strangers: bool = False,
        answers: Answers = lambda *_: False,
        settings: GuardSettings | None = None,
    ) -> None:
        """`trunks` are networks or addresses; ValueError if one is neither. `strangers` are admitted if true. `answers`
        says whether a datagram from an IP address holds something that we sent there, and nowhere else."""
        self.counters = GuardCounters()
        networks = [ip_network(trunk) for trunk in trunks]
        self._trunks = [(net.max_prefixlen // 8, int(net.network_address), int(net.netmask)) for net in networks]
        self._registrars: frozenset[str] = frozenset()
        # A /64 that belongs to a trunk only in part is counted by single addresses, lest its neighbours pass as trunks.
        self._shared = {net.network_address.packed[:8] for net in networks if net.version == 6 and net.prefixlen > 64}
        self._open = strangers
        self._settings = settings or GuardSettings()
        self._crowds = {reliable: _Bucket(self._settings.strangers) for reliable in (False, True)}
        self._reserve = _Bucket(self._settings.reserve)
        self._answers = answers
        most = self._settings.max_addresses
        self._sources: _Recent[tuple[str | bytes, bool], _Source] = _Recent(most)
        self._offenders: _Recent[str | bytes, _Offender] = _Recent(most)
        self._expected: _Recent[str, float] = _Recent(most)  # addresses to the time until which they may answer
        self._known: _Recent[tuple[str, int], _Known] = _Recent(most)
        self._refused: _Recent[int, float] = _Recent(self._settings.max_refused)  # datagrams to when they came

    def is_trunk(self, ip: str) -> bool:
        """Whether the address is on the allow-list."""
        packed = _packed(ip)
        size, address = len(packed), int.from_bytes(packed)
        return ip in self._registrars or any(
            size == length and address & mask == network for length, network, mask in self._trunks
        )

    def is_known(self, source: Address, now_ms: float) -> bool:
        """Whether the address and port have lately proven that they receive our packets: by authenticating, or as a
        party that we have called."""
        known = self._known.get((source.host, source.port))
        return known is not None and now_ms < known.until_ms

    def trust(self, registrars: frozenset[str]) -> None:
        """From now on trunks are these addresses and the networks, no others."""
        self._shared |= {inet_pton(AF_INET6, ip)[:8] for ip in registrars if ":" in ip}
        for ip in registrars ^ self._registrars:
            for reliable in (False, True):  # what was counted of it, it begins anew
                self._sources.pop((self._key(ip), reliable), None)
        self._registrars = registrars

    def expect(self, to: Address, until_ms: float) -> None:
        """We send a request there: its answers are admitted, strangers or not."""
        self._expected.keep(to.host, until_ms)
        self._know(to, until_ms)

    def admit(self, source: Address, now_ms: float, datagram: bytes = b"") -> bool:
        """Whether to parse a packet; if not, drop it silently. `datagram` is its content, unless it came by a
        stream."""
        key = self._key(source.host)
        offender = self._offenders.get(key)
        if offender is not None and now_ms < offender.banned_until:
            self.counters.banned += 1
            return False
        sender = self._source(key, source)
        if not sender.trunk and not self._open and (self._expected.get(source.host) or 0.0) <= now_ms:
            self.counters.not_allowed += 1
            return False
        if not self._has_room(sender, source, now_ms):
            if not datagram or not self._has_reserve(sender, source.host, datagram, now_ms):
                return False
            self.counters.reserved += 1
        self.counters.admitted += 1
        return True

    def failed(self, ip: str, now_ms: float) -> bool:
        """Count a failure. True exactly when a ban begins: log `ban_line` then. Call it only for packets that nobody
        else can have sent in the name of this address: by a stream, or holding something that we sent there."""
        key = self._key(ip)
        offender = self._offenders.get(key) or _Offender()
        self._offenders.keep(key, offender)
        if self.is_trunk(ip) or now_ms < offender.banned_until:
            return False
        if now_ms - offender.since >= self._settings.window_ms:
            offender.since, offender.failures = now_ms, 0
        offender.failures += 1
        if offender.failures < self._settings.failures:
            return False
        offender.failures = 0
        offender.banned_until = now_ms + self._settings.ban_ms
        self.counters.bans += 1
        return True

    def succeeded(self, source: Address, now_ms: float) -> None:
        """A peer has authenticated: forget its failures, and remember the address and port as known."""
        offender = self._offenders.get(self._key(source.host))
        if offender is not None:
            offender.failures = 0
        self._know(source, now_ms + self._settings.known_ms)

    def ban_line(self, ip: str) -> str:
        """The line for the log. fail2ban: `failregex = SIP ban begins: host=<HOST> `."""
        return f"SIP ban begins: host={ip} failures={self._settings.failures} seconds={self._settings.ban_ms / 1000:g}"

    def _know(self, address: Address, until_ms: float) -> None:
        place = address.host, address.port
        known = self._known.get(place) or _Known(self._settings.known)
        known.until_ms = max(known.until_ms, until_ms)
        self._known.keep(place, known)

    def _has_room(self, sender: "_Source", source: Address, now_ms: float) -> bool:
        """Whether there are tokens left in its bucket, and in that of all its kind."""
        known = None if sender.trunk else self._known.get((source.host, source.port))
        if known is not None and now_ms < known.until_ms:
            has = known.bucket.take(now_ms)
            self.counters.limited += not has
            return has
        if not sender.bucket.take(now_ms):
            self.counters.limited += 1
            return False
        if not sender.trunk and not self._crowds[source.reliable].take(now_ms):
            self.counters.crowded += 1
            return False
        return True

    def _has_reserve(self, sender: "_Source", ip: str, datagram: bytes, now_ms: float) -> bool:
        """Whether a datagram is admitted although there is no room: one that a forger of senders can hardly produce."""
        if self._answers(datagram, ip):
            if sender.answers is None:
                sender.answers = _Bucket(self._settings.stranger)
            return sender.answers.take(now_ms) and self._reserve.take(now_ms)
        return self._comes_again(ip, datagram, now_ms) and self._reserve.take(now_ms)

    def _comes_again(self, ip: str, datagram: bytes, now_ms: float) -> bool:
        """Whether a datagram is the retransmission of one that was turned away."""
        mark = hash((ip, datagram[:COMPARED]))
        before = self._refused.get(mark)
        self._refused.keep(mark, now_ms)
        least, most = AGAIN_MS
        return before is not None and least <= now_ms - before <= most

    def _source(self, key: str | bytes, address: Address) -> "_Source":
        place = key, address.reliable
        source = self._sources.get(place)
        if source is None:
            trunk = self.is_trunk(address.host)
            source = _Source(trunk, self._settings.trunk if trunk else self._settings.stranger)
        self._sources.keep(place, source)
        return source

    def _key(self, ip: str) -> str | bytes:
        """The key that an address is counted by; an IPv4 address, also if mapped into IPv6, counts by itself."""
        if ":" not in ip:
            return ip
        packed = _packed(ip)
        if len(packed) == 4:
            return ".".join(map(str, packed))
        return packed if packed[:8] in self._shared else packed[:8]


def _packed(ip: str) -> bytes:
    """An IP address as bytes: 16, or 4 for IPv4, also if mapped into IPv6."""
    if ":" not in ip:
        return inet_pton(AF_INET, ip)
    packed = inet_pton(AF_INET6, ip.partition("%")[0])
    return packed[12:] if packed[:12] == b"\0" * 10 + b"\xff\xff" else packed


class _Recent(OrderedDict[_K, _V]):
    """At most so many, the most recent ones."""

    def __init__(self, most: int) -> None:
        super().__init__()
        self._most = most

    def keep(self, key: _K, value: _V) -> None:
        self[key] = value
        self.move_to_end(key)
        if len(self) > self._most:
            self.popitem(last=False)


class _Bucket:
    """A token bucket, full at first."""

    __slots__ = ("_at", "_burst", "_per_ms", "_tokens")

    def __init__(self, rate: RateLimit) -> None:
        self._per_ms, self._burst = rate.per_second / 1000, rate.burst
        self._tokens, self._at = rate.burst, 0.0

    def take(self, now_ms: float) -> bool:
        if now_ms > self._at:
            self._tokens = min(self._burst, self._tokens + (now_ms - self._at) * self._per_ms)
            self._at = now_ms
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True


class _Source:
    """One address, or one /64, by datagrams or by streams."""

    __slots__ = ("answers", "bucket", "trunk")

    def __init__(self, trunk: bool, rate: RateLimit) -> None:
        self.trunk = trunk
        self.bucket = _Bucket(rate)
        self.answers: _Bucket | None = None  # for datagrams that answer a challenge, when the other is empty


class _Known:
    """An address and port known to receive our packets."""

    __slots__ = ("bucket", "until_ms")

    def __init__(self, rate: RateLimit) -> None:
        self.bucket = _Bucket(rate)
        self.until_ms = 0.0


class _Offender:
    """An address, or a /64, that has failed."""

    __slots__ = ("banned_until", "failures", "since")

    def __init__(self) -> None:
        self.failures = 0
        self.since = 0.0  # when the first failure was
        self.banned_until = 0.0
