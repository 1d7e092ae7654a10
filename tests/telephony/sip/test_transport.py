"""UDP, TCP and TLS over real sockets: what is let in, framing, time-outs, limits, and where messages go."""

import asyncio
import shutil
import ssl
import subprocess
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from config.exceptions import SettingsError
from config.settings import SipSettings
from telephony.sip import transport as t
from telephony.sip.syntax.address import Address
from telephony.sip.syntax.message import Message, MessageError, Request, encode
from telephony.sip.transport import Transports
from tests.telephony.sip.peer import invite

HOST = "127.0.0.1"
ONE = encode(invite())


class Server:
    """Transports, and what they tell."""

    def __init__(self, **settings: Any) -> None:
        self.received: list[tuple[Message, Address]] = []
        self.malformed: list[tuple[MessageError, Address]] = []
        self.unreachable: list[Address] = []
        self.allowed = 1_000_000  # packets
        values = {"port": 0, "tls_port": 0} | settings
        self.transports = Transports(
            SipSettings(**values),
            admit=self._admit,
            receive=lambda message, source: self.received.append((message, source)),
            malformed=lambda error, source: self.malformed.append((error, source)),
            unreachable=self.unreachable.append,
        )

    def _admit(self, ip: str) -> bool:
        assert ip == HOST
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


async def until(condition: Callable[[], Any]) -> None:
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 (sockets tell nobody)
            await asyncio.sleep(0.005)


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


async def test_nothing_is_parsed_of_who_is_not_let_in(monkeypatch: pytest.MonkeyPatch) -> None:
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


async def test_connection_is_opened_where_there_is_none() -> None:
    got: list[bytes] = []

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(await reader.readexactly(9))
        writer.write(ONE)
        await writer.drain()
        await reader.read()
        writer.close()

    peer = await asyncio.start_server(accept, HOST, 0)
    port = peer.sockets[0].getsockname()[1]
    async with listening() as server:
        to = Address("TCP", HOST, port, 99)  # a connection that has closed meanwhile
        server.transports.send(b"one, ", to)
        server.transports.send(b"two.", to)
        await until(lambda: server.received)
        assert got == [b"one, two."]
        peer.close()
    await asyncio.sleep(0.02)


async def test_what_cannot_be_reached_is_told() -> None:
    async with listening(transports=("tcp",)) as server:
        gone = Address("TCP", HOST, 9)
        for to in (gone, Address("UDP", HOST, 5060)):
            server.transports.send(b"x", to)
            await until(lambda to=to: to in server.unreachable)


async def test_names_are_looked_up_and_other_kinds_of_addresses_fail() -> None:
    async with listening() as server:
        transport, peer = await datagrams(server)
        port = transport.get_extra_info("sockname")[1]
        server.transports.send(b"by name", Address("UDP", "localhost", port))
        await until(lambda: peer.received == [b"by name"] or server.unreachable)
        server.transports.send(b"x", Address("UDP", "nowhere.invalid", port))
        await until(lambda: server.unreachable)
        transport.close()


async def test_taken_port_is_named() -> None:
    async with listening() as server:
        with pytest.raises(SettingsError, match=r"sip\.host, sip\.port: cannot listen on 127\.0\.0\.1"):
            async with listening(port=server.transports.ports["UDP"]):
                pass


@pytest.fixture
def certificate(tmp_path: Path) -> dict[str, str]:
    """One for 127.0.0.1, as settings."""
    if shutil.which("openssl") is None:
        pytest.skip("openssl is not installed, which makes the certificate")
    make = "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 2 -subj /CN=localhost"
    name = ("-addext", "subjectAltName=IP:127.0.0.1")
    subprocess.run([*make.split(), *name], cwd=tmp_path, check=True, capture_output=True)
    return {"tls_cert": str(tmp_path / "cert.pem"), "tls_key": str(tmp_path / "key.pem")}


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


async def test_certificate_that_is_not_there_is_named() -> None:
    with pytest.raises(SettingsError, match=r"sip\.tls_cert"):
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
