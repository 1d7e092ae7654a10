"""Where requests of ours go: the servers of a SIP address, by SRV, A and AAAA records (RFC 3263, without NAPTR).

An IP address or a port leaves nothing to ask SRV for. Names in the machine's hosts file go before DNS.
"""

import asyncio
from collections.abc import Iterable
from ipaddress import ip_address
from pathlib import Path

from telephony.exceptions import LineError
from telephony.sip.syntax.address import DEFAULT_PORTS, Address
from telephony.sip.syntax.header import Uri

try:
    import dns.asyncresolver
    from dns.exception import DNSException
    from dns.rdtypes.IN.SRV import SRV
except ImportError:  # an extra
    dns = None  # type: ignore[assignment]

HOSTS = Path("/etc/hosts")
MISSING = "looking up a host's name needs dnspython: pip install 'voxline[sip]'"
LOOKUP_S = 10.0  # for all the questions of one address
MOST_SERVERS = 8
_SERVICES = {"UDP": "_sip._udp", "TCP": "_sip._tcp", "TLS": "_sips._tcp"}


class LocateError(LineError):
    """There is no way to an address: its name is unknown, or no DNS server answers."""


def available() -> bool:
    """Whether dnspython is there."""
    return dns is not None


def is_ip(host: str) -> bool:
    """Whether it is an address, not a name."""
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


class Locator:
    """Looks addresses up, for transports that we have (UDP, TCP, TLS) and for the version of IP that we speak."""

    def __init__(self, transports: Iterable[str], version: int) -> None:
        """`transports` in the order in which they are to be used; `version` is 4 or 6."""
        self._transports = tuple(transports)
        self._version = version

    async def locate(self, uri: Uri) -> list[Address]:
        """The servers of a URI, in the order in which they are to be tried. Raises LocateError if there is none."""
        host = uri.params.get("maddr") or uri.host
        return await self._bounded(host, uri.port or 0, self._transports_of(uri))

    async def nearest(self, to: Address) -> Address:
        """The first server of an address that has a name. Raises LocateError if there is none."""
        return (await self._bounded(to.host, to.port, (to.transport,)))[0]

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
        if not known and not available():
            raise LocateError(MISSING)
        for transport in () if port or known else transports:
            found = await self._services(host, transport)
            if found:
                return found
        transport = transports[0]
        return [
            self._address(transport, ip, port or DEFAULT_PORTS[transport], host)
            for ip in known or await self._ips(host)
        ]

    async def _services(self, host: str, transport: str) -> list[Address]:
        """By SRV, in the order of priority and weight; none where there are no such records."""
        try:
            answer = await dns.asyncresolver.resolve(f"{_SERVICES[transport]}.{host}", "SRV")
        except DNSException:
            return []
        found: list[Address] = []
        for record in answer.rrset.processing_order() if answer.rrset else ():
            assert isinstance(record, SRV)
            target = record.target.to_text(omit_final_dot=True)
            if target in {".", ""}:
                continue  # "there is no such service here"
            try:
                ips = await self._ips(target)
            except LocateError:
                continue
            found += [self._address(transport, ip, record.port, host) for ip in ips]
            if len(found) >= MOST_SERVERS:
                break
        return found[:MOST_SERVERS]

    async def _ips(self, host: str) -> list[str]:
        kind = "A" if self._version == 4 else "AAAA"
        try:
            answer = await dns.asyncresolver.resolve(host, kind, search=True)
        except DNSException as error:
            raise LocateError(f"{host}: {type(error).__name__} asking DNS for {kind}") from None
        return [record.to_text() for record in answer][:MOST_SERVERS]

    def _address(self, transport: str, ip: str, port: int, domain: str) -> Address:
        """A certificate is to be for the domain that was asked for, not for a server that DNS names (RFC 5922)."""
        return Address(transport, ip, port, name=domain if transport == "TLS" else "")


def _in_hosts(host: str, version: int) -> list[str]:
    """The addresses of a name in the hosts file."""
    try:
        lines = HOSTS.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return []
    fields = [line.partition("#")[0].split() for line in lines]
    found = [names[0] for names in fields if host.lower() in map(str.lower, names[1:])]
    return [ip for ip in found if is_ip(ip) and ip_address(ip).version == version]
