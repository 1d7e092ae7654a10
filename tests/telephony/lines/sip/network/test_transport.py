"""UDP, TCP and TLS over real sockets: what is let in, framing, time-outs, limits, and where messages go."""

import asyncio
import socket
import ssl
import struct
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
import uvloop

from config.exceptions import SettingsError
from config.sip import SipSettings
from telephony.lines.sip.network import transport as t
from telephony.lines.sip.network.sockets import bind_udp
from telephony.lines.sip.network.transport import Transports
from telephony.lines.sip.syntax.address import Address
from telephony.lines.sip.syntax.message import Message, MessageError, Request, encode
from tests.telephony.lines.sip.peer import invite
from tests.waiting import until

HOST = "127.0.0.1"
ONE = encode(invite())


class Server:
    """Transports, and what they tell."""

    def __init__(self, **settings: Any) -> None:
        self.received: list[tuple[Message, Address]] = []
        self.malformed: list[tuple[MessageError, Address]] = []
        self.unreachable: list[Address] = []
        self.allowed = 1_000_000  # packets
        self.trusted = True
        values = {"port": 0, "tls_port": 0} | settings
        self.transports = Transports(
            SipSettings(**values),
            admit=self._admit,
            trusted=lambda ip: self.trusted,
            receive=lambda message, source, _: self.received.append((message, source)),
            malformed=lambda error, source, _: self.malformed.append((error, source)),
            unreachable=self.unreachable.append,
        )

    def _admit(self, source: Address, datagram: bytes) -> bool:
        assert source.host == HOST
        assert source.port
        assert bool(datagram) <= (source.transport == "UDP")
        self.allowed -= 1
        return self.allowed >= 0

    def watch_in(self, ms: float) -> None:
        """Look at the time-outs as if it were that much later."""
        self.transports.watch(1000 * asyncio.get_running_loop().time() + ms)


@asynccontextmanager
async def listening(**settings: Any) -> AsyncIterator[Server]:
    server = Server(**settings)
    await server.transports.open()
    try:
        yield server
    finally:
        await server.transports.close()
        await asyncio.sleep(0.01)


async def dial(server: Server) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    return await asyncio.open_connection(HOST, server.transports.ports["TCP"])


class Datagrams(asyncio.DatagramProtocol):
    def __init__(self) -> None:
        self.received: list[bytes] = []

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.received.append(data)


async def datagrams(server: Server) -> tuple[Any, Datagrams]:
    loop = asyncio.get_running_loop()
    return await loop.create_datagram_endpoint(Datagrams, remote_addr=(HOST, server.transports.ports["UDP"]))


async def test_datagrams_come_and_go() -> None:
    async with listening() as server:
        transport, peer = await datagrams(server)
        transport.sendto(ONE)
        await until(lambda: server.received)
        request, source = server.received[0]
        assert isinstance(request, Request)
        assert source == Address("UDP", HOST, transport.get_extra_info("sockname")[1])
        server.transports.send(b"answer", source)
        await until(lambda: peer.received == [b"answer"])
        for useless in (b"", b"\r\n\r\n", b"\0\0\0\0"):
            transport.sendto(useless)
        transport.sendto(ONE[:100])
        await until(lambda: server.malformed)
        assert [str(error) for error, _ in server.malformed] == ["400 No Empty Line After the Headers"]
        transport.close()


async def test_nothing_is_parsed_of_a_sender_that_is_not_admitted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(t, "parse", lambda data: pytest.fail("parsed"))
    async with listening() as server:
        server.allowed = 0
        transport, peer = await datagrams(server)
        transport.sendto(ONE)
        await until(lambda: server.allowed == -1)
        reader, writer = await dial(server)
        writer.write(ONE)
        with pytest.raises(ConnectionError):
            assert await reader.read() == b""
            raise ConnectionResetError
        writer.close()
        assert (server.received, server.malformed, peer.received) == ([], [], [])
        transport.close()


async def test_messages_on_a_stream_in_any_pieces_and_their_answers() -> None:
    async with listening() as server:
        reader, writer = await dial(server)
        for piece in (ONE[:10], ONE[10:300], ONE[300:] + ONE + b"\r\n\r\n" + ONE[:50], ONE[50:]):
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(0.01)
        await until(lambda: len(server.received) == 3)
        assert await reader.readexactly(2) == b"\r\n"  # the keep-alive's answer
        source = server.received[0][1]
        assert (source.transport, source.connection > 0) == ("TCP", True)
        server.transports.send(b"by the same connection", source)
        assert await reader.readexactly(22) == b"by the same connection"
        server.transports.send(b"found by its address", Address("TCP", HOST, source.port))
        assert await reader.readexactly(20) == b"found by its address"
        writer.close()
        await until(lambda: server.unreachable)
        assert server.unreachable == [source]  # what waits for answers on it fails


async def test_each_message_of_a_stream_counts() -> None:
    async with listening() as server:
        server.allowed = 5  # the connection, and four messages
        reader, writer = await dial(server)
        writer.write(ONE * 20)
        with pytest.raises(ConnectionError):
            assert await reader.read() == b""
            raise ConnectionResetError
        assert len(server.received) <= 4
        writer.close()


async def test_bad_message_is_told_and_a_hopeless_stream_closed() -> None:
    async with listening() as server:
        reader, writer = await dial(server)
        bad = ONE.replace(b"CSeq: 1 INVITE", b"CSeq: 1 OPTIONS")
        writer.write(ONE + bad + ONE)
        await until(lambda: len(server.received) == 2 and len(server.malformed) == 1)
        writer.write(ONE.replace(b"Content-Length", b"Content-Width"))
        assert await reader.read() == b""
        assert server.malformed[1][0].fatal
        writer.close()


async def test_slow_and_silent_connections_are_closed() -> None:
    async with listening() as server:
        connections = server.transports.connections
        silent, started, good = await dial(server), await dial(server), await dial(server)
        started[1].write(ONE[:20])
        good[1].write(ONE)
        await until(lambda: server.received and len(connections) == 3)
        server.watch_in(9000)
        await asyncio.sleep(0.02)
        assert len(connections) == 3
        server.watch_in(10_500)
        await until(lambda: len(connections) == 1)
        assert await silent[0].read() == await started[0].read() == b""
        server.watch_in(901_000)
        await until(lambda: not connections)
        for _, writer in (silent, started, good):
            writer.close()


async def test_connections_are_bounded() -> None:
    async with listening(connections=2) as server:
        opened = [await dial(server) for _ in range(2)]
        await until(lambda: len(server.transports.connections) == 2)
        reader, writer = await dial(server)
        with pytest.raises(ConnectionError):
            assert await reader.read() == b""
            raise ConnectionResetError
        assert len(server.transports.connections) == 2
        for _, one in (*opened, (reader, writer)):
            one.close()


def test_peers_that_are_gone_before_they_are_accepted(caplog: pytest.LogCaptureFixture) -> None:
    """uvloop, which the server runs on, knows no address of theirs."""

    async def scanned() -> None:
        async with listening() as server:
            for _ in range(5):
                with socket.create_connection((HOST, server.transports.ports["TCP"])) as scanner:
                    scanner.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))  # RST, no FIN
            _, writer = await dial(server)
            writer.write(ONE)
            await until(lambda: server.received)
            writer.close()

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(scanned())
    assert caplog.records == []


async def test_a_stranger_gets_a_quarter_of_the_connections_and_trunks_what_is_left() -> None:
    async with listening(connections=8) as server:
        server.trusted = False
        opened = [await dial(server) for _ in range(3)]
        await until(lambda: len(server.transports.connections) == 2)
        assert await opened[2][0].read() == b""
        server.trusted = True
        opened += [await dial(server) for _ in range(7)]
        await until(lambda: len(server.transports.connections) == 8)
        for _, writer in opened:
            writer.close()


async def test_peer_that_does_not_read_is_let_go() -> None:
    async with listening() as server:
        reader, writer = await dial(server)
        writer.write(ONE)
        await until(lambda: server.received)
        source = server.received[0][1]
        for _ in range(400):
            server.transports.send(b"x" * 60_000, source)
        await until(lambda: not server.transports.connections)
        writer.close()
        assert reader is not None


@pytest.mark.parametrize("name", ["", "example.com"])
async def test_connection_is_opened_where_there_is_none(name: str) -> None:
    got: list[bytes] = []
    gone = asyncio.Event()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(await reader.readexactly(9))
        writer.write(ONE)
        await writer.drain()
        await reader.read()
        writer.close()
        await writer.wait_closed()
        gone.set()

    peer = await asyncio.start_server(accept, HOST, 0)
    port = peer.sockets[0].getsockname()[1]
    async with listening() as server:
        to = Address("TCP", HOST, port, 99, name)  # a connection that has closed meanwhile
        server.transports.send(b"one, ", to)
        server.transports.send(b"two.", to)
        await until(lambda: server.received)
        assert got == [b"one, two."]
        peer.close()
    await gone.wait()


async def test_what_cannot_be_reached_is_told() -> None:
    async with listening(transports=("tcp",)) as server:
        gone = Address("TCP", HOST, 9)
        for to in (gone, Address("UDP", HOST, 5060)):
            server.transports.send(b"x", to)
            await until(lambda to=to: to in server.unreachable)


async def test_names_and_other_kinds_of_addresses_fail() -> None:
    async with listening() as server:
        for host in ("localhost", "nowhere.invalid", "::1"):
            to = Address("UDP", host, 5060)
            server.transports.send(b"x", to)
            await until(lambda to=to: to in server.unreachable)


async def test_taken_port_is_named() -> None:
    async with listening() as server:
        port = server.transports.ports["UDP"]
        with pytest.raises(
            SettingsError, match=rf"sip\.host, sip\.port: cannot listen on 127\.0\.0\.1:{port}: Address al"
        ):
            async with listening(port=port):
                pass


async def test_ipv6_is_ipv6_only() -> None:
    async with listening(host="::") as server:
        transport, _ = await datagrams(server)
        transport.sendto(ONE)
        with pytest.raises(ConnectionRefusedError):
            await dial(server)
        port = server.transports.ports["UDP"]
        bind_udp(HOST, port).close()
        await asyncio.sleep(0.05)
        assert not server.received
        transport.close()


async def test_tls(certificate: dict[str, str]) -> None:
    async with listening(transports=("tls",), **certificate) as server:
        context = ssl.create_default_context(cafile=certificate["tls_cert"])
        reader, writer = await asyncio.open_connection(HOST, server.transports.ports["TLS"], ssl=context)
        writer.write(ONE)
        await until(lambda: server.received)
        source = server.received[0][1]
        assert source.transport == "TLS"
        server.transports.send(b"answer", source)
        assert await reader.readexactly(6) == b"answer"
        writer.close()
        await until(lambda: not server.transports.connections)


async def test_peers_count_from_before_their_tls_handshake_which_must_be_quick(certificate: dict[str, str]) -> None:
    async with listening(transports=("tls",), connections=2, **certificate) as server:
        port = server.transports.ports["TLS"]
        silent, slow = [await asyncio.open_connection(HOST, port) for _ in range(2)]
        slow[1].write(b"\x16\x03\x01\x02\x00")  # the first bytes of a handshake
        await until(lambda: len(server.transports.connections) == 2)
        with pytest.raises((OSError, ssl.SSLError)):
            await asyncio.open_connection(HOST, port, ssl=ssl.create_default_context(cafile=certificate["tls_cert"]))
        server.watch_in(9000)
        await asyncio.sleep(0.02)
        assert len(server.transports.connections) == 2
        server.watch_in(10_500)
        await until(lambda: not server.transports.connections)
        for _, writer in (silent, slow):
            writer.close()


async def test_no_handshake_with_a_peer_that_is_not_admitted(certificate: dict[str, str]) -> None:
    async with listening(transports=("tls",), **certificate) as server:
        server.allowed = 0
        reader, writer = await asyncio.open_connection(HOST, server.transports.ports["TLS"])
        with pytest.raises(ConnectionError):
            assert await reader.read() == b""
            raise ConnectionResetError
        writer.close()


async def test_what_is_no_tls_is_closed_and_what_cannot_agree_is_told(certificate: dict[str, str]) -> None:
    async with listening(transports=("tls",), **certificate) as server:
        port = server.transports.ports["TLS"]
        reader, writer = await asyncio.open_connection(HOST, port)
        writer.write(ONE)
        assert await reader.read() == b""
        writer.close()
        old = ssl.create_default_context(cafile=certificate["tls_cert"])
        old.maximum_version = ssl.TLSVersion.TLSv1_2
        old.set_ciphers("AES128-SHA")
        with pytest.raises(ssl.SSLError, match="HANDSHAKE_FAILURE"):
            await asyncio.open_connection(HOST, port, ssl=old)
        assert not server.received


async def test_a_stream_of_many_messages_over_tls_and_its_end(certificate: dict[str, str]) -> None:
    async with listening(transports=("tls",), **certificate) as server:
        context = ssl.create_default_context(cafile=certificate["tls_cert"])
        reader, writer = await asyncio.open_connection(HOST, server.transports.ports["TLS"], ssl=context)
        writer.write(ONE * 200)
        await until(lambda: len(server.received) == 200)
        source = server.received[0][1]
        for _ in range(50):
            server.transports.send(b"x" * 4000, source)
        assert len(await reader.readexactly(200_000)) == 200_000
        server.transports.connections[source.connection].close()
        assert await reader.read() == b""
        await until(lambda: server.unreachable == [source])
        writer.close()


async def test_certificate_that_is_not_there_is_named() -> None:
    with pytest.raises(SettingsError, match=r"sip\.tls_cert: cannot read '/nowhere\.pem': No such file"):
        async with listening(transports=("tls",), tls_cert="/nowhere.pem"):
            pass


async def test_any_port_is_one_that_is_free_on_both(monkeypatch: pytest.MonkeyPatch) -> None:
    bind = Transports._bind_udp
    tried: list[int] = []

    async def bind_first_where_tcp_is_taken(transports: Transports) -> asyncio.DatagramTransport:
        if tried:
            return await bind(transports)
        tried.append(other.sockets[0].getsockname()[1])
        loop = asyncio.get_running_loop()
        udp, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, local_addr=(HOST, tried[0]))
        return udp

    monkeypatch.setattr(Transports, "_bind_udp", bind_first_where_tcp_is_taken)
    async with await asyncio.start_server(lambda *_: None, HOST, 0) as other, listening() as server:
        ports = server.transports.ports
        assert ports["UDP"] == ports["TCP"] != tried[0]
