"""The socket, against real servers."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import pytest
from websockets.asyncio.server import ServerConnection, serve

from telephony.simulator.twilio.websocket import Socket, SocketError

Handler = Callable[[ServerConnection], Awaitable[None]]


class Client:
    """A socket and what came out of it."""

    def __init__(self, url: str) -> None:
        self.messages: list[bytes] = []
        self.news = asyncio.Event()
        self.closed = asyncio.Event()
        self.socket = Socket(url, self._take, self.closed.set)

    def _take(self, message: bytes) -> None:
        self.messages.append(message)
        self.news.set()

    async def receive(self, count: int) -> list[bytes]:
        async with asyncio.timeout(5):
            while len(self.messages) < count:
                self.news.clear()
                await self.news.wait()
        return self.messages

    async def until_closed(self) -> None:
        async with asyncio.timeout(5):
            await self.closed.wait()


@pytest.fixture
async def connect() -> AsyncIterator[Callable[[Handler], Awaitable[Client]]]:
    servers = []

    async def start(handler: Handler) -> Client:
        server = await serve(handler, "127.0.0.1", 0, close_timeout=0.1)
        servers.append(server)
        client = Client(f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}/media?x=1")
        await client.socket.open({"X-Twilio-Signature": "abc"}, 5)
        return client

    yield start
    for server in servers:
        server.close()
        await server.wait_closed()


async def test_messages_go_both_ways(connect: Any) -> None:
    async def echo(server: ServerConnection) -> None:
        assert server.request is not None
        await server.send(server.request.headers["X-Twilio-Signature"] + server.request.path)
        async for message in server:
            await server.send(message)
            await server.send(["in ", "three ", "parts"])  # fragments
            await server.ping()

    client = await connect(echo)
    client.socket.send([b"one", b"two"])
    received = await client.receive(5)
    await client.socket.close()
    assert received == [b"abc/media?x=1", b"one", b"in three parts", b"two", b"in three parts"]
    assert (client.socket.close_code, client.socket.lost, client.closed.is_set()) == (1000, False, True)
    client.socket.send([b"too late"])


async def test_the_server_closes_with_a_reason(connect: Any) -> None:
    async def close(server: ServerConnection) -> None:
        await server.close(1013, "try again later")

    client = await connect(close)
    await client.until_closed()
    assert (client.socket.close_code, client.socket.close_reason) == (1013, "try again later")
    assert not client.socket.lost


async def test_the_connection_breaks(connect: Any) -> None:
    async def die(server: ServerConnection) -> None:
        server.transport.abort()

    client = await connect(die)
    await client.until_closed()
    assert client.socket.lost
    assert client.socket.close_code == 1006


async def test_a_server_that_reads_no_more_is_seen(connect: Any) -> None:
    async def stall(server: ServerConnection) -> None:
        server.transport.pause_reading()
        await server.wait_closed()

    client = await connect(stall)
    await asyncio.sleep(0.05)
    for _ in range(100):
        client.socket.send([b"x" * 100_000])
    assert client.socket.unsent > 1_000_000
    client.socket.abort()
    await client.until_closed()


async def test_what_is_no_websocket() -> None:
    async def http(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        path = (await reader.readuntil(b"\r\n\r\n")).split()[1]
        if path == b"/403":
            writer.write(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 13\r\n\r\nbad signature")
        elif path == b"/nonsense":
            writer.write(b"SSH-2.0\r\n\r\n")
        elif path == b"/hang":
            await reader.read()
        writer.close()
        await writer.wait_closed()

    server = await asyncio.start_server(http, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    for path, reason in (
        ("403", "refused with HTTP 403: bad signature"),
        ("nonsense", "valid HTTP response"),
        ("close", "valid HTTP response"),
        ("hang", "no handshake within 0.2 s"),
    ):
        client = Client(f"ws://127.0.0.1:{port}/{path}")
        with pytest.raises(SocketError, match=reason):
            await client.socket.open({}, 0.2)
        assert not client.closed.is_set()
    server.close()
    await server.wait_closed()
    client = Client(f"ws://127.0.0.1:{port}/")
    with pytest.raises(SocketError, match=r"(?i)connect"):
        await client.socket.open({}, 5)
