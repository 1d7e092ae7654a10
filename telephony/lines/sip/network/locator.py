"""Where our requests go: the servers of a SIP address, by SRV, A and AAAA records (RFC 3263, without NAPTR).

With an IP address or a port no SRV lookup is made. The machine's hosts file comes before DNS. Everything that may be
needed is queried at once, in parallel.
"""

import asyncio
from collections.abc import Iterable, Sequence
from copy import copy
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from config.extras import install_command
from telephony.lines.exceptions import LineError
from telephony.lines.sip.syntax.address import DEFAULT_PORTS, Address
from telephony.lines.sip.syntax.header import Uri

try:
    import dns.asyncresolver
    import dns.name
    from dns.exception import DNSException
    from dns.rdtypes.IN.SRV import SRV
except ImportError:  # from the extra `sip`
    dns = None  # type: ignore[assignment]

HOSTS = Path("/etc/hosts")
MISSING = f"looking up a host's name needs dnspython: {install_command('sip')}"
LOOKUP_S = 10.0  # for all queries of one address
SRV_S = 2.0  # for SRV, once the host has an address: some DNS servers drop unknown queries
SERVERS_S = 2.0  # for the addresses of the servers that SRV names
TRY_S = 0.8  # after which the query is repeated, or sent to another DNS server
MOST_SERVERS = 8
_SERVICES = {"UDP": "_sip._udp", "TCP": "_sip._tcp", "TLS": "_sips._tcp"}


class LocateError(LineError):
    """An address cannot be resolved: its name is unknown, or no DNS server answers."""


def available() -> bool:
    """Whether dnspython is installed."""
    return dns is not None


def is_ip(host: str) -> bool:
    """Whether a host is an IP address, not a name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


class Locator:
    """Resolves addresses, for the transports (UDP, TCP, TLS) and the IP version that we use."""

    def __init__(self, transports: Iterable[str], version: int) -> None:
        """`transports` in order of preference; `version` is 4 or 6."""
        self._transports = tuple(transports)
        self._version = version

    async def locate(self, uri: Uri) -> list[Address]:
        """The servers of a URI, in the order to try them. Raises LocateError if there is none."""
        host = uri.params.get("maddr") or uri.host
        return await self._bounded(host, uri.port or 0, self._transports_of(uri))

    async def nearest(self, to: Address) -> Address:
        """The first server of an address given by name. Raises LocateError if there is none."""
        return (await self._bounded(to.host, to.port, (to.transport,)))[0]

    async def ip(self, host: str) -> str:
        """The first address of a host. Raises LocateError if there is none. The caller sets the time-out."""
        known = await asyncio.to_thread(_in_hosts, host, self._version)
        if not known and not available():
            raise LocateError(MISSING)
        return (known or await self._ips(host))[0]

    def _transports_of(self, uri: Uri) -> tuple[str, ...]:
        asked = uri.params.get("transport", "").upper()
        if uri.scheme == "sips" or asked == "TLS":
            return ("TLS",)
        if asked and asked not in DEFAULT_PORTS:
            raise LocateError(f"there is no transport {asked[:20]}")
        plain = tuple(transport for transport in self._transports if transport != "TLS")
        return (asked,) if asked else plain or self._transports

    async def _bounded(self, host: str, port: int, transports: tuple[str, ...]) -> list[Address]:
        try:
            async with asyncio.timeout(LOOKUP_S):
                return await self._find(host, port, transports)
        except TimeoutError:
            raise LocateError(f"{host}: no DNS server has answered in {LOOKUP_S:g} s") from None

    async def _find(self, host: str, port: int, transports: tuple[str, ...]) -> list[Address]:
        if is_ip(host):
            return [Address(transports[0], host, port or DEFAULT_PORTS[transports[0]])]
        known = await asyncio.to_thread(_in_hosts, host, self._version)
        if known:
            return self._addresses(transports[0], known, port, host)
        if not available():
            raise LocateError(MISSING)
        own = asyncio.create_task(self._ips(host))
        services = {} if port else {t: asyncio.create_task(self._services(host, t)) for t in transports}
        try:
            until_s = asyncio.get_running_loop().time() + SRV_S
            for transport, asked in services.items():
                found = await self._servers(await _awaited(asked, own, until_s), transport, host)
                if found:
                    return found
            return self._addresses(transports[0], await own, port, host)
        finally:
            await _give_up([own, *services.values()])

    async def _services(self, host: str, transport: str) -> "list[SRV]":
        """The SRV records, ordered by priority and weight; empty if there are none."""
        try:
            answer = await _resolver().resolve(f"{_SERVICES[transport]}.{host}", "SRV")
        except DNSException:
            return []
        records = answer.rrset.processing_order() if answer.rrset else []
        named = [record for record in records if isinstance(record, SRV)]
        return [record for record in named if record.target != dns.name.root]  # "this service is not offered here"

    async def _servers(self, records: "list[SRV]", transport: str, domain: str) -> list[Address]:
        """The addresses of SRV hosts, queried in parallel; hosts that do not resolve in time are left out."""
        if not records:
            return []
        names = [record.target.to_text(omit_final_dot=True) for record in records[:MOST_SERVERS]]
        asked = [asyncio.create_task(self._ips(name)) for name in names]
        await asyncio.wait(asked, timeout=SERVERS_S)
        found = [
            address
            for record, task in zip(records, asked, strict=False)
            if task.done() and task.exception() is None
            for address in self._addresses(transport, task.result(), record.port, domain)
        ]
        await _give_up(asked)
        return found[:MOST_SERVERS]

    async def _ips(self, host: str) -> list[str]:
        kind = "A" if self._version == 4 else "AAAA"
        try:
            answer = await _resolver().resolve(host, kind, search=True)
        except DNSException as error:
            raise LocateError(f"{host}: {type(error).__name__} asking DNS for {kind}") from None
        return [record.to_text() for record in answer][:MOST_SERVERS]

    def _addresses(self, transport: str, ips: list[str], port: int, domain: str) -> list[Address]:
        """A certificate must be for the requested domain, not for the server that DNS names (RFC 5922)."""
        name = domain if transport == "TLS" else ""
        return [Address(transport, ip, port or DEFAULT_PORTS[transport], name=name) for ip in ips]


async def _awaited(asked: "asyncio.Task[list[SRV]]", own: asyncio.Task[list[str]], until_s: float) -> "list[SRV]":
    """The answer of a question for SRV records. It is given up at that time, if by then, or later, the host's own
    address is known; none then."""
    await asyncio.wait([asked], timeout=until_s - asyncio.get_running_loop().time())
    if not asked.done():
        await asyncio.wait([asked, own], return_when=asyncio.FIRST_COMPLETED)
    if not asked.done() and own.exception() is not None:
        await asyncio.wait([asked])
    return asked.result() if asked.done() else []


async def _give_up(tasks: Sequence[asyncio.Task[Any]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _resolver() -> "dns.asyncresolver.Resolver":
    """The system's resolver, with less patience for one server: a lost query is repeated, or sent elsewhere."""
    resolver = copy(dns.asyncresolver.get_default_resolver())
    resolver.timeout = TRY_S
    return resolver


def _in_hosts(host: str, version: int) -> list[str]:
    """The addresses of a name in the hosts file."""
    try:
        lines = HOSTS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    fields = [line.partition("#")[0].split() for line in lines]
    found = [names[0] for names in fields if host.lower() in map(str.lower, names[1:])]
    return [ip for ip in found if is_ip(ip) and ip_address(ip).version == version]
