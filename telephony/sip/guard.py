"""Who may talk to the SIP port. Asked for every packet before it is parsed.

Trunks are the networks on the allow-list: they have a bucket of their own and are never banned. Everybody else is a
stranger: let in only where digest is on, held to a rate each and to one all together, and banned for a time after
too many failures (an INVITE without or with wrong credentials, a packet that is not SIP). IPv6 is counted by /64,
which is what one customer gets. Of the addresses, the ones heard of last are kept.
"""

from collections import OrderedDict
from collections.abc import Iterable
from ipaddress import ip_address, ip_network
from socket import AF_INET6, inet_pton

import msgspec


class Rate(msgspec.Struct, frozen=True):
    """A token bucket: packets a second in the long run, and how many at once."""

    per_second: float
    burst: float


class GuardSettings(msgspec.Struct, frozen=True):
    """The guard's limits."""

    trunk: Rate = Rate(2000, 4000)  # each address of a trunk
    stranger: Rate = Rate(20, 60)  # each address of a stranger
    strangers: Rate = Rate(500, 1000)  # all of them together
    failures: int = 10  # that begin a ban
    window_ms: float = 60_000  # in which they are counted
    ban_ms: float = 600_000
    max_addresses: int = 10_000


class Counters(msgspec.Struct):
    """What became of the packets, and the bans."""

    admitted: int = 0
    not_allowed: int = 0  # strangers, where none are let in
    banned: int = 0  # packets from a banned address
    limited: int = 0  # by the address's own bucket
    crowded: int = 0  # by the bucket of all strangers
    bans: int = 0


class Guard:
    """Knows every address by its bucket, its failures and its ban. Times are in ms and never go back."""

    def __init__(
        self, trunks: Iterable[str] = (), *, strangers: bool = False, settings: GuardSettings | None = None
    ) -> None:
        """`trunks` are networks or addresses; ValueError if one is neither. `strangers` are let in if true."""
        self.counters = Counters()
        self._trunks = [ip_network(trunk) for trunk in trunks]
        self._registrars: frozenset[str] = frozenset()
        self._expected: OrderedDict[str, float] = OrderedDict()  # addresses to the time until which they may answer
        # A /64 that a trunk has a part of only is counted by whole addresses, lest its neighbours pass as trunks.
        self._shared = {
            net.network_address.packed[:8] for net in self._trunks if net.version == 6 and net.prefixlen > 64
        }
        self._open = strangers
        self._settings = settings or GuardSettings()
        self._crowd = _Bucket(self._settings.strangers)
        self._sources: OrderedDict[str | bytes, _Source] = OrderedDict()

    def is_trunk(self, ip: str) -> bool:
        """Whether the address is on the allow-list."""
        address = ip_address(ip)
        address = getattr(address, "ipv4_mapped", None) or address
        return ip in self._registrars or any(address in trunk for trunk in self._trunks)

    def trust(self, registrars: frozenset[str]) -> None:
        """Addresses that are trunks' too from now on, and no others but the networks."""
        self._shared |= {inet_pton(AF_INET6, ip)[:8] for ip in registrars if ":" in ip}
        for ip in registrars ^ self._registrars:
            self._sources.pop(self._key(ip), None)  # what was counted of it, it begins anew
        self._registrars = registrars

    def expect(self, ip: str, until_ms: float) -> None:
        """A request of ours goes to this address: its answers are let in, strangers or not."""
        self._expected[ip] = until_ms
        self._expected.move_to_end(ip)
        if len(self._expected) > self._settings.max_addresses:
            self._expected.popitem(last=False)

    def admit(self, ip: str, now_ms: float) -> bool:
        """Whether to parse a packet from this address; False: drop it without an answer."""
        source = self._source(ip)
        if now_ms < source.banned_until:
            self.counters.banned += 1
            return False
        if not source.trunk and not self._open and self._expected.get(ip, 0.0) <= now_ms:
            self.counters.not_allowed += 1
            return False
        if not source.bucket.take(now_ms):
            self.counters.limited += 1
            return False
        if not source.trunk and not self._crowd.take(now_ms):
            self.counters.crowded += 1
            return False
        self.counters.admitted += 1
        return True

    def failed(self, ip: str, now_ms: float) -> bool:
        """Count a failure. True exactly when a ban begins: log `ban_line` then."""
        source = self._source(ip)
        if source.trunk or now_ms < source.banned_until:
            return False
        if now_ms - source.since >= self._settings.window_ms:
            source.since, source.failures = now_ms, 0
        source.failures += 1
        if source.failures < self._settings.failures:
            return False
        source.failures = 0
        source.banned_until = now_ms + self._settings.ban_ms
        self.counters.bans += 1
        return True

    def succeeded(self, ip: str) -> None:
        """Forget the failures: the caller has shown a password. Each call by digest begins with one, the 401."""
        self._source(ip).failures = 0

    def ban_line(self, ip: str) -> str:
        """The line for the log. fail2ban: `failregex = SIP ban begins: host=<HOST> `."""
        return f"SIP ban begins: host={ip} failures={self._settings.failures} seconds={self._settings.ban_ms / 1000:g}"

    def _source(self, ip: str) -> "_Source":
        key = self._key(ip)
        source = self._sources.get(key)
        if source is not None:
            self._sources.move_to_end(key)
            return source
        trunk = self.is_trunk(ip)
        source = self._sources[key] = _Source(trunk, self._settings.trunk if trunk else self._settings.stranger)
        if len(self._sources) > self._settings.max_addresses:
            self._sources.popitem(last=False)
        return source

    def _key(self, ip: str) -> str | bytes:
        """What an address is counted by; an IPv4 address, in IPv6's clothes too, by itself."""
        if ":" not in ip:
            return ip
        packed = inet_pton(AF_INET6, ip.partition("%")[0])
        if packed[:12] == b"\0" * 10 + b"\xff\xff":
            return ".".join(map(str, packed[12:]))
        return packed if packed[:8] in self._shared else packed[:8]


class _Bucket:
    """A token bucket. It begins full."""

    __slots__ = ("_at", "_burst", "_per_ms", "_tokens")

    def __init__(self, rate: Rate) -> None:
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
    """One address, or one /64."""

    __slots__ = ("banned_until", "bucket", "failures", "since", "trunk")

    def __init__(self, trunk: bool, rate: Rate) -> None:
        self.trunk = trunk
        self.bucket = _Bucket(rate)
        self.failures = 0
        self.since = 0.0  # when the first of the failures was
        self.banned_until = 0.0
