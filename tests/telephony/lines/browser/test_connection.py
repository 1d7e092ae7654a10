"""One socket of a page: what is sent in which order, and how it ends. In memory, by ASGI alone."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from starlette.websockets import WebSocket

from telephony.lines.browser.connection import MAX_WAITING, Connection
from telephony.lines.exceptions import ProtocolError
from tests.waiting import until


class Peer:
    """The other end."""

    def __init__(self) -> None:
        self.sent: list[Any] = []
        self.now_ms = 0.0
        self.reads = asyncio.Event()
        self.reads.set()
        self._in: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self._in.put_nowait({"type": "websocket.connect"})

    async def connect(self, send_timeout_s: float = 5) -> Connection:
        """An accepted connection."""
        websocket = WebSocket({"type": "websocket"}, self._in.get, self._send)
        await websocket.accept()
        self.sent.clear()
        return Connection(websocket, send_timeout_s, lambda: self.now_ms)

    def say(self, text: str) -> None:
        """A text message from here."""
        self._in.put_nowait({"type": "websocket.receive", "text": text})

    def leave(self, code: int) -> None:
        """Close."""
        self._in.put_nowait({"type": "websocket.disconnect", "code": code, "reason": "bye"})

    async def _send(self, message: Any) -> None:
        await self.reads.wait()
        self.sent.append(message.get("text", message.get("bytes", message.get("code", message["type"]))))


Run = Callable[..., Any]


async def test_texts_go_first_and_audio_when_it_is_due() -> None:
    peer = Peer()
    connection, came = await peer.connect(), []
    blocks = [b"1", b"2"]
    running = asyncio.create_task(connection.run(came.append, lambda: [blocks.pop(0)] if blocks else []))
    connection.put("a")
    connection.put("b")
    await until(lambda: peer.sent == ["a", "b", b"1"])
    connection.wake()
    await until(lambda: peer.sent[-1] == b"2")
    peer.say("hello")
    await until(lambda: came == ["hello"])
    connection.put("last")
    connection.close(1000, "over")
    await running
    assert peer.sent[-2:] == ["last", 1000]


async def test_when_the_peer_leaves_nothing_more_is_sent() -> None:
    peer = Peer()
    connection = await peer.connect()
    running = asyncio.create_task(connection.run(lambda _: None, lambda: []))
    peer.leave(1001)
    await running
    assert connection.closed_by_peer == (1001, "bye")
    assert peer.sent == []


async def test_the_first_message_must_come() -> None:
    peer = Peer()
    connection = await peer.connect()
    with pytest.raises(ProtocolError, match="no start"):
        await connection.first(0.01)
    peer.leave(1006)
    assert await connection.first(5) is None


async def test_a_peer_that_does_not_read_is_stuck_and_its_texts_are_bounded() -> None:
    peer = Peer()
    connection = await peer.connect(0.05)
    running = asyncio.create_task(connection.run(lambda _: None, lambda: []))
    peer.now_ms = 1.0
    peer.reads.clear()
    connection.put("a")
    await asyncio.sleep(0)
    await until(lambda: connection.stuck(1000.0))
    assert not connection.stuck(10.0)
    for _ in range(MAX_WAITING + 1):
        connection.put("b")
    await running  # closed, as far as that is possible
    assert 1008 not in peer.sent
