"""The sockets that SIP comes by: UDP, TCP and TLS. Messages in with where they came from, bytes out to an address.

The guard is asked before anything is parsed. Who is turned away hears nothing. Answers go by the connection that the
request came on; a request of ours, when that is closed, by a new one.
"""

import asyncio
import logging
import ssl
from collections.abc import Callable
from ipaddress import ip_address
from itertools import count
from typing import Any, cast

from config.exceptions import SettingsError
from config.settings import SipSettings
from telephony.sip.syntax.address import Address
from telephony.sip.syntax.message import MAX_BYTES, KeepAlive, Message, MessageError, StreamParser, is_keep_alive, parse

MAX_UNSENT = 4 * MAX_BYTES  # bytes that a peer leaves unread before it is disconnected
MAX_WAITING = 64  # messages that wait for one connection to open
OPEN_S = 5.0
TRIES = 20  # for a port that is free on UDP and TCP both, where any will do
WHOLE_MS = 10_000.0  # in which a message that has begun must be there
FIRST_MS = 10_000.0  # in which a new connection must say something
IDLE_MS = 900_000.0

logger = logging.getLogger("voxline.sip")

Admit = Callable[[str], bool]  # told an IP, for each packet
Receive = Callable[[Message, Address], None]
Malformed = Callable[[MessageError, Address], None]
Unreachable = Callable[[Address], None]


class Transports:
    """All endpoints of one server."""

    def __init__(
        self,
        settings: SipSettings,
        *,
        admit: Admit,
        receive: Receive,
        malformed: Malformed,
        unreachable: Unreachable,
    ) -> None:
        """`unreachable` is told where something could not be sent."""
        self.admit = admit
        self.receive = receive
        self.malformed = malformed
        self.connections: dict[int, Connection] = {}
        self.ports: dict[str, int] = {}  # by transport: where we listen
        self.most = settings.connections
        self._settings = settings
        self._unreachable = unreachable
        self._numbers = count(1)
        self._udp: asyncio.DatagramTransport | None = None
        self._servers: list[asyncio.Server] = []
        self._opening: dict[Address, list[bytes]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Listen. Raises SettingsError where that cannot be."""
        settings = self._settings
        secure = server_context(settings) if "tls" in settings.transports else None
        try:
            await self._listen_plain()
            if secure is not None:
                await self._listen("TLS", settings.tls_port, secure)
        except OSError as error:
            await self.close()
            raise SettingsError(f"sip.host, sip.port: cannot listen on {settings.host}: {error.strerror}") from None

    async def _listen_plain(self) -> None:
        """UDP and TCP, on the same port. Port 0: one that the system finds free for UDP may be taken on TCP."""
        settings = self._settings
        for tries_left in reversed(range(1 if settings.port else TRIES)):
            if "udp" in settings.transports:
                self._udp = await self._bind_udp()
                self.ports["UDP"] = self._udp.get_extra_info("sockname")[1]
            try:
                if "tcp" in settings.transports:
                    await self._listen("TCP", self.ports.get("UDP", settings.port), None)
                return
            except OSError:
                if not tries_left:
                    raise
                if self._udp is not None:
                    self._udp.close()

    async def _bind_udp(self) -> asyncio.DatagramTransport:
        address = (self._settings.host, self._settings.port)
        loop = asyncio.get_running_loop()
        return (await loop.create_datagram_endpoint(lambda: _Datagrams(self), local_addr=address))[0]

    async def close(self) -> None:
        """Close everything."""
        for task in self._tasks:
            task.cancel()
        if self._udp is not None:
            self._udp.close()
        for server in self._servers:
            server.close()
        for connection in list(self.connections.values()):
            connection.close()

    def send(self, data: bytes, to: Address) -> None:
        """Send one message, now or when a connection is open."""
        if to.transport == "UDP":
            self._send_datagram(data, to)
            return
        connection = self.connections.get(to.connection)
        if connection is not None:
            connection.send(data)
            return
        target = Address(to.transport, to.host, to.port)
        for known in self.connections.values():
            if known.peer == target:
                known.send(data)
                return
        waiting = self._opening.get(target)
        if waiting is None:
            self._opening[target] = [data]
            self._keep(self._connect(target, to))
        elif len(waiting) < MAX_WAITING:
            waiting.append(data)

    def watch(self, now_ms: float) -> None:
        """Close connections that say nothing, or not all."""
        for connection in list(self.connections.values()):
            connection.watch(now_ms)

    def opened(self, connection: "Connection") -> int:
        """A connection is there: its number; 0 if there are too many, or its peer is not let in."""
        if len(self.connections) >= self.most or not (connection.ours or self.admit(connection.peer.host)):
            return 0
        number = next(self._numbers)
        self.connections[number] = connection
        return number

    def _send_datagram(self, data: bytes, to: Address) -> None:
        try:
            ip_address(to.host)
        except ValueError:  # a name: the loop's resolver must not be waited for
            self._keep(self._resolve(data, to))
            return
        try:
            if self._udp is None or not to.port:
                raise OSError("no way there")
            self._udp.sendto(data, (to.host, to.port))
        except (OSError, ValueError):  # of the other IP version, for one
            asyncio.get_running_loop().call_soon(self._unreachable, to)

    async def _resolve(self, data: bytes, to: Address) -> None:
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(to.host, to.port or 5060)
        except OSError:
            self._unreachable(to)
            return
        if self._udp is not None:
            self._udp.sendto(data, found[0][4][:2])

    async def _connect(self, target: Address, to: Address) -> None:
        loop = asyncio.get_running_loop()
        secure = ssl.create_default_context() if target.transport == "TLS" else None
        port = target.port or (5061 if secure else 5060)
        try:
            async with asyncio.timeout(OPEN_S):
                _, connection = await loop.create_connection(
                    lambda: Connection(self, target.transport, ours=True), target.host, port, ssl=secure
                )
            for data in self._opening[target]:
                connection.send(data)
        except (OSError, TimeoutError):
            self._unreachable(to)
        finally:
            del self._opening[target]

    async def _listen(self, transport: str, port: int, secure: ssl.SSLContext | None) -> None:
        server = await asyncio.get_running_loop().create_server(
            lambda: Connection(self, transport), self._settings.host, port, ssl=secure
        )
        self._servers.append(server)
        self.ports[transport] = server.sockets[0].getsockname()[1]

    def _keep(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def lost(self, connection: "Connection") -> None:
        """A connection is closed."""
        if self.connections.pop(connection.number, None) is not None:
            self._unreachable(connection.address)


class _Datagrams(asyncio.DatagramProtocol):
    """The UDP socket."""

    def __init__(self, transports: Transports) -> None:
        self._transports = transports

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        """See asyncio.DatagramProtocol."""
        transports, source = self._transports, Address("UDP", addr[0], addr[1])
        if not transports.admit(addr[0]) or is_keep_alive(data):
            return
        try:
            transports.receive(parse(data), source)
        except MessageError as error:
            transports.malformed(error, source)

    def error_received(self, exc: Exception) -> None:
        """See asyncio.DatagramProtocol. Whose it is, nobody says; what waits for an answer has its own time-out."""


class Connection(asyncio.Protocol):
    """One TCP or TLS connection."""

    def __init__(self, transports: Transports, kind: str, *, ours: bool = False) -> None:
        """`ours`: we have opened it."""
        self.ours = ours
        self.number = 0
        self.peer = Address(kind, "")
        self._kind = kind
        self._transports = transports
        self._parser = StreamParser()
        self._transport: asyncio.Transport | None = None
        self._heard_ms = self._begun_ms = _now_ms()
        self._partial = True  # nothing whole has come yet

    @property
    def address(self) -> Address:
        """Where answers to what comes by it go."""
        return Address(self._kind, self.peer.host, self.peer.port, self.number)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """See asyncio.Protocol."""
        self._transport = cast(asyncio.Transport, transport)
        host, port = transport.get_extra_info("peername")[:2]
        self.peer = Address(self._kind, host, port)
        self.number = self._transports.opened(self)
        if not self.number:
            self._transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:  # noqa: ARG002
        """See asyncio.Protocol."""
        self._transports.lost(self)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        if not self.number:
            return
        if not self.ours and not self._transports.admit(self.peer.host):
            self.abort()
            return
        self._heard_ms = _now_ms()
        if not self._partial:
            self._begun_ms, self._partial = self._heard_ms, True
        while True:
            try:
                found = self._parser.feed(data)
            except MessageError as error:
                self._take(error.before)
                self._transports.malformed(error, self.address)
                if error.fatal:
                    self.close()
                    return
                data = b""
                continue
            self._take(found)
            return

    def watch(self, now_ms: float) -> None:
        """Close it if the peer is slow, silent for long, or does not read."""
        slow = self._partial and now_ms - self._begun_ms > (WHOLE_MS if not self.ours else IDLE_MS)
        if slow or now_ms - self._heard_ms > IDLE_MS:
            self.close()

    def send(self, data: bytes) -> None:
        """Send; a peer that does not read is disconnected."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        transport.write(data)
        if transport.get_write_buffer_size() > MAX_UNSENT:
            self.abort()

    def close(self) -> None:
        """Close it when everything is sent."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close it now."""
        if self._transport is not None:
            self._transport.abort()

    def _take(self, found: list[Message | KeepAlive]) -> None:
        if found:
            self._partial = False
        for number, message in enumerate(found):
            if number and not self.ours and not self._transports.admit(self.peer.host):
                self.abort()
                return
            if isinstance(message, KeepAlive):
                self.send(b"\r\n")
            else:
                self._transports.receive(message, self.address)


def server_context(settings: SipSettings) -> ssl.SSLContext:
    """TLS with the operator's certificate. Raises SettingsError if that cannot be read."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(settings.tls_cert, settings.tls_key or None)
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(f"sip.tls_cert, sip.tls_key: {error}") from None
    return context


def _now_ms() -> float:
    return 1000 * asyncio.get_running_loop().time()
