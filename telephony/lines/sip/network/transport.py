"""The SIP sockets: UDP, TCP and TLS. Messages in with their source, bytes out to an address.

The guard is asked before anything is parsed. A sender that is turned away gets no answer. Answers go by the connection
of the request; our requests go by a new one if that is closed.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable
from ipaddress import ip_address
from itertools import count
from typing import Any

from config.exceptions import SettingsError
from config.sip import SipSettings
from telephony.lines.sip.network.connection import MAX_UNSENT, Connection
from telephony.lines.sip.network.sockets import bind_tcp, bind_udp, reason, show
from telephony.lines.sip.network.tls import ServerTls, client_context, server_context
from telephony.lines.sip.syntax.address import Address
from telephony.lines.sip.syntax.message import Message, MessageError, is_keep_alive, parse

MAX_WAITING = 64  # messages waiting for one connection to open
OPEN_S = 5.0
RECEIVE_BUFFER = 1 << 20  # bytes for the kernel to buffer: 0.2 s of a flood, while this process is busy
TRIES = 20  # at a port that is free on both UDP and TCP, if any will do

AdmitPacket = Callable[[Address, bytes], bool]  # the source of each packet, and the datagram unless it came by a stream
Receive = Callable[[Message, Address, int], None]  # with the size of a datagram; 0 for a stream
Malformed = Callable[[MessageError, Address, int], None]
Unreachable = Callable[[Address], None]

logger = logging.getLogger("voxline.sip")


class Transports:
    """All endpoints of one server."""

    def __init__(
        self,
        settings: SipSettings,
        *,
        admit: AdmitPacket,
        receive: Receive,
        malformed: Malformed,
        unreachable: Unreachable,
        trusted: Callable[[str], bool] = lambda _: True,
    ) -> None:
        """There is always room for `trusted` IPs, the trunks'; `unreachable` gets each address that could not be sent
        to."""
        self.admit = admit
        self.trusted = trusted
        self.receive = receive
        self.malformed = malformed
        self.connections: dict[int, Connection] = {}
        self.ports: dict[str, int] = {}  # by transport: the port we listen on
        self.most = settings.connections
        self._settings = settings
        self._version = ip_address(settings.host).version
        self._unreachable = unreachable
        self._numbers = count(1)
        self._udp: Any | None = None  # asyncio.DatagramTransport, whose type lacks get_write_buffer_size
        self._servers: list[asyncio.Server] = []
        self._opening: dict[Address, list[bytes]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def open(self) -> None:
        """Listen. Raises SettingsError if that is impossible."""
        settings = self._settings
        secure = server_context(settings) if "tls" in settings.transports else None
        if settings.tls_ca:
            client_context(settings)  # to report a bad file now
        port, ports = settings.port, "sip.port"
        try:
            await self._listen_plain()
            if secure is not None:
                port, ports = settings.tls_port, "sip.tls_port"
                await self._listen("TLS", port, secure)
        except OSError as error:
            await self.close()
            where = show(settings.host, port)
            raise SettingsError(f"sip.host, {ports}: cannot listen on {where}: {reason(error)}") from None

    async def _listen_plain(self) -> None:
        """UDP and TCP, on the same port. Port 0: a port that the system finds free for UDP may be taken on TCP."""
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
        bound = bind_udp(self._settings.host, self._settings.port)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        loop = asyncio.get_running_loop()
        return (await loop.create_datagram_endpoint(lambda: _Datagrams(self), sock=bound))[0]

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
        """Send one message to an IP address, now or once a connection is open."""
        if to.transport == "UDP":
            self._send_datagram(data, to)
            return
        connection = self.connections.get(to.connection)
        if connection is not None:
            connection.send(data)
            return
        target = Address(to.transport, to.host, to.port, name=to.name)
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
        """Close connections that are silent, or whose messages stay incomplete."""
        for connection in list(self.connections.values()):
            connection.watch(now_ms)

    def opened(self, connection: "Connection") -> int:
        """A connection was opened: its number; 0 if there are too many, or its peer is not admitted."""
        ip = connection.peer.host
        if not (connection.ours or self.admit(connection.peer, b"")) or len(self.connections) >= self.most:
            return 0
        connection.trusted = connection.ours or self.trusted(ip)
        if not connection.trusted and not self._has_room(ip):
            return 0
        number = next(self._numbers)
        self.connections[number] = connection
        return number

    def _has_room(self, ip: str) -> bool:
        """Whether a stranger may have one more: all together get three quarters of the places, one gets a quarter."""
        strangers = [known.peer.host for known in self.connections.values() if not known.trusted]
        return len(strangers) < max(1, 3 * self.most // 4) and strangers.count(ip) < max(1, self.most // 4)

    def _send_datagram(self, data: bytes, to: Address) -> None:
        try:
            # ValueError for a name, whose lookup would block everything.
            if self._udp is None or not to.port or ip_address(to.host).version != self._version:
                raise OSError("no way there")
            if self._udp.get_write_buffer_size() < MAX_UNSENT:  # otherwise it is lost, as on the network
                self._udp.sendto(data, (to.host, to.port))
        except (OSError, ValueError):
            asyncio.get_running_loop().call_soon(self._unreachable, to)

    async def _connect(self, target: Address, to: Address) -> None:
        loop = asyncio.get_running_loop()
        port = target.port or (5061 if target.transport == "TLS" else 5060)
        try:
            secure = client_context(self._settings) if target.transport == "TLS" else None
            async with asyncio.timeout(OPEN_S):
                _, connection = await loop.create_connection(
                    lambda: Connection(self, target.transport, ours=True, name=target.name),
                    target.host,
                    port,
                    ssl=secure,
                    server_hostname=(target.name or None) if secure else None,
                )
            for data in self._opening[target]:
                connection.send(data)
        except (OSError, TimeoutError, SettingsError) as error:
            if isinstance(error, ssl.SSLError | SettingsError):
                logger.warning("no connection by TLS: %s", error, extra={"peer": str(target)})
            self._unreachable(to)
        finally:
            del self._opening[target]

    async def _listen(self, transport: str, port: int, secure: ssl.SSLContext | None) -> None:
        def connection() -> Connection:
            return Connection(self, transport, tls=ServerTls(secure) if secure is not None else None)

        server = await asyncio.get_running_loop().create_server(connection, sock=bind_tcp(self._settings.host, port))
        self._servers.append(server)
        self.ports[transport] = server.sockets[0].getsockname()[1]

    def _keep(self, work: Any) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def lost(self, connection: "Connection") -> None:
        """A connection was closed."""
        if self.connections.pop(connection.number, None) is not None:
            self._unreachable(connection.address)


class _Datagrams(asyncio.DatagramProtocol):
    """The UDP socket."""

    def __init__(self, transports: Transports) -> None:
        self._transports = transports

    def datagram_received(self, data: bytes, addr: tuple[Any, ...]) -> None:
        """See asyncio.DatagramProtocol."""
        transports = self._transports
        source = Address("UDP", addr[0], addr[1])
        if not transports.admit(source, data) or is_keep_alive(data):  # first of all: this is the cost of a flood
            return
        try:
            transports.receive(parse(data), source, len(data))
        except MessageError as error:
            transports.malformed(error, source, len(data))

    def error_received(self, exc: Exception) -> None:
        """See asyncio.DatagramProtocol. It does not name the peer; requests waiting for an answer have their own
        time-out."""
