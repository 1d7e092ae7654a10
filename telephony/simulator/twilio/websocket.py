"""A WebSocket client that calls straight into the stream: no task, no queue and no future per message.

That is what lets one core drive hundreds of calls. The protocol itself is websockets' own sans-I/O `ClientProtocol`.
"""

import asyncio
import ssl
from collections.abc import Callable
from typing import cast
from urllib.parse import urlsplit

from websockets.client import ClientProtocol
from websockets.exceptions import InvalidStatus
from websockets.frames import Frame, Opcode
from websockets.http11 import Response
from websockets.protocol import State
from websockets.uri import parse_uri

from telephony.lines.close_codes import CloseCode
from telephony.lines.exceptions import LineError

MOST_UNSENT = 1_000_000  # bytes unsent at which a server that does not read is given up
MOST_RECEIVED = 1 << 20  # bytes, of one message
CLOSE_TIMEOUT_S = 5.0


class SocketError(LineError):
    """The socket could not be opened; the message says why."""


class Socket(asyncio.Protocol):
    """One connection. `on_message` gets each text message as bytes, `on_audio` each message of bytes, `on_closed` is
    called once, at the end."""

    def __init__(
        self,
        url: str,
        on_message: Callable[[bytes], None],
        on_closed: Callable[[], None],
        on_audio: Callable[[bytes], None] | None = None,
    ) -> None:
        self.lost = False  # the connection ended without a closing handshake
        self._url = url
        self._protocol = ClientProtocol(parse_uri(url), max_size=MOST_RECEIVED)
        self._on_message = on_message
        self._on_audio = on_audio
        self._on_closed = on_closed
        self._opened: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport: asyncio.Transport | None = None
        self._was_open = False
        self._parts: list[bytes] = []

    async def open(self, headers: dict[str, str], timeout_s: float) -> None:
        """Connect and shake hands. Raises SocketError."""
        parts = urlsplit(self._url)
        assert parts.hostname is not None  # parse_uri has seen to it
        secure = parts.scheme == "wss"
        context = ssl.create_default_context() if secure else None
        try:
            async with asyncio.timeout(timeout_s):
                await asyncio.get_running_loop().create_connection(
                    lambda: self, parts.hostname, parts.port or (443 if secure else 80), ssl=context
                )
                request = self._protocol.connect()
                for name, value in headers.items():
                    request.headers[name] = value
                self._protocol.send_request(request)
                self._flush()
                await self._opened
        except TimeoutError:
            self.abort()
            raise SocketError(f"{self._url}: no handshake within {timeout_s:g} s") from None
        except OSError as error:
            raise SocketError(f"{self._url}: {error.strerror or error}") from error
        except BaseException:
            self.abort()
            raise

    @property
    def is_open(self) -> bool:
        """Whether messages can be sent."""
        return self._protocol.state is State.OPEN

    @property
    def close_code(self) -> int | None:
        """1006 when the connection broke."""
        return self._protocol.close_code

    @property
    def close_reason(self) -> str:
        """The reason given by the side that closed."""
        return self._protocol.close_reason or ""

    @property
    def unsent(self) -> int:
        """Bytes that the server has not yet read."""
        return self._transport.get_write_buffer_size() if self._transport else 0

    def send(self, messages: list[bytes]) -> None:
        """Send text messages in one write; sends nothing once the socket is no longer open."""
        if not messages or not self.is_open:
            return
        for message in messages:
            self._protocol.send_text(message)
        self._flush()

    def send_audio(self, message: bytes) -> None:
        """Send one message of bytes; nothing once the socket is no longer open."""
        if self.is_open:
            self._protocol.send_binary(message)
            self._flush()

    async def close(self) -> None:
        """Close with a handshake, or after 5 s without one."""
        if self.is_open:
            self._protocol.send_close(CloseCode.NORMAL)
            self._flush()
        try:
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await asyncio.shield(self._closed)
        except TimeoutError:
            self.abort()

    def abort(self) -> None:
        """Drop the connection at once."""
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Part of asyncio.Protocol."""
        self._transport = cast(asyncio.Transport, transport)  # uvloop's own class derives from neither

    def data_received(self, data: bytes) -> None:
        """Part of asyncio.Protocol."""
        self._protocol.receive_data(data)
        self._flush()
        for event in self._protocol.events_received():
            if isinstance(event, Frame):
                self._frame(event)
            elif isinstance(event, Response):
                self._handshake(event)
        if self._protocol.close_expected():  # if the server does not close the connection then, we do
            asyncio.get_running_loop().call_later(CLOSE_TIMEOUT_S, self.abort)

    def eof_received(self) -> bool:
        """Part of asyncio.Protocol."""
        self._protocol.receive_eof()
        self._flush()
        return False

    def connection_lost(self, error: Exception | None) -> None:
        """Part of asyncio.Protocol: the end, however it came about."""
        if self._protocol.state is not State.CLOSED:
            self._protocol.receive_eof()
        self.lost = self._protocol.close_rcvd is None
        self._transport = None
        if self._was_open:
            self._on_closed()
        elif not self._opened.done():
            reason = self._protocol.handshake_exc or error or "the server closed the connection"
            self._opened.set_exception(SocketError(f"{self._url}: {reason}"))
        self._closed.set_result(None)

    def _handshake(self, response: Response) -> None:
        if self._opened.done():
            return  # nobody waits for it any more
        error = self._protocol.handshake_exc
        if error is None:
            self._was_open = True
            self._opened.set_result(None)
            return
        text = str(error)
        if isinstance(error, InvalidStatus):
            body = " ".join((response.body or b"").decode("utf-8", "replace").split())[:200]
            text = f"refused with HTTP {response.status_code}" + (f": {body}" if body else "")
        self._opened.set_exception(SocketError(f"{self._url}: {text}"))
        self.abort()

    def _frame(self, frame: Frame) -> None:
        if frame.opcode is Opcode.BINARY and self._on_audio and frame.fin:
            self._on_audio(bytes(frame.data))
            return
        if frame.opcode not in (Opcode.TEXT, Opcode.CONT):
            return  # pings are answered by the protocol
        if frame.fin and not self._parts:
            self._on_message(bytes(frame.data))
            return
        self._parts.append(bytes(frame.data))
        if frame.fin:
            message = b"".join(self._parts)
            self._parts.clear()
            self._on_message(message)

    def _flush(self) -> None:
        transport = self._transport
        if transport is None:
            self._protocol.data_to_send()
            return
        for data in self._protocol.data_to_send():
            if data:
                transport.write(data)
            elif transport.can_write_eof():
                transport.write_eof()
