"""uvicorn's connections with the bounds they lack, so that no peer holds one open for nothing or floods it."""

import logging
from asyncio import TimerHandle, Transport
from collections.abc import Callable
from typing import Any

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol
from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request
from websockets.protocol import OPEN

from config.settings import TwilioSettings
from telephony.frames import TEXT, Frames, text, text_frame

FRAMES_A_SECOND = 200  # WebSocket frames of every kind; Twilio sends little more than 50
MAX_HEAD_BYTES = 65_536  # of one HTTP request
DIRECT = "voxline.direct"  # the ASGI extension through which `attach` is reached
NOT_ALLOWED = 1008  # WebSocket close code

logger = logging.getLogger("voxline.connection")


class Config(uvicorn.Config):
    """uvicorn's, and the limits of the connections."""

    limits = TwilioSettings()


class HttpConnection(HttpToolsProtocol):
    """Requests must be whole within `start_timeout_s`, from the opening of the connection on."""

    config: Config
    _deadline: TimerHandle | None = None
    _head_bytes = 0

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """See asyncio.Protocol."""
        super().connection_made(transport)
        self._expect_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._stop_waiting()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        self._head_bytes += len(data)
        if self._head_bytes - len(data) > MAX_HEAD_BYTES:
            self._refuse(b"431 Request Header Fields Too Large", f"a head longer than {MAX_HEAD_BYTES} bytes")
            return
        super().data_received(data)

    def on_message_begin(self) -> None:
        """See HttpToolsProtocol."""
        super().on_message_begin()
        self._expect_request()

    def on_headers_complete(self) -> None:
        """See HttpToolsProtocol."""
        self._head_bytes = -(1 << 62)  # what follows is the body, bounded by the application
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """See HttpToolsProtocol."""
        self._stop_waiting()
        self._head_bytes = 0
        super().on_message_complete()

    def _expect_request(self) -> None:
        self._stop_waiting()
        self._deadline = self.loop.call_later(self.config.limits.start_timeout_s, self._too_slow)

    def _stop_waiting(self) -> None:
        if self._deadline:
            self._deadline.cancel()

    def _too_slow(self) -> None:
        self._refuse(b"408 Request Timeout", f"no whole request within {self.config.limits.start_timeout_s:g} s")

    def _refuse(self, status: bytes, reason: str) -> None:
        self._stop_waiting()
        if not self.transport.is_closing():
            logger.warning("refused: %s", reason, extra={"peer": self.client})
            if not (self.cycle and self.cycle.response_started and not self.cycle.response_complete):
                self.transport.write(b"HTTP/1.1 " + status + b"\r\nconnection: close\r\ncontent-length: 0\r\n\r\n")
            self.transport.close()


class MediaConnection(WebSocketsSansIOProtocol):
    """Frames of every kind are counted, those too that the application never sees.

    Messages go straight to whoever has asked for them with `attach`. Through ASGI's queue, each would stop and start
    the reading of the socket (two system calls) and wake a task: a fifth of a frame's cost. Plain text does not even
    pass the library's parser (see frames.py).
    """

    config: Config
    _on_message: Callable[[str | bytes], None] | None = None
    _overtaking = False  # whether messages may go past ASGI's queue, since it has been empty

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.close_timeout = self.config.limits.send_timeout_s
        self._incoming = Frames(self.config.ws_max_size)
        self._frames = 0  # so far
        self._allowed = 0.0  # as of the last look at the clock
        self._opened_s = self.loop.time()

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol."""
        if self.handshake_initiated:
            for frame, payload in self._incoming.feed(data):
                if self.transport.is_closing():
                    return
                if not (payload and frame[0] == TEXT and self._direct() and self._give(frame, payload)):
                    super().data_received(frame)
            return
        super().data_received(data)
        if self.conn.handshake_exc and not self.transport.is_closing():
            logger.warning("refused: %s", self.conn.handshake_exc, extra={"peer": self.client})
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.transport.close()

    def handle_connect(self, event: Request) -> None:
        """See WebSocketsSansIOProtocol."""
        super().handle_connect(event)
        if self.response.status_code != 101:
            logger.warning("refused: %s", self.conn.handshake_exc, extra={"peer": self.client})
        elif extensions := self.scope["extensions"]:
            extensions[DIRECT] = {"attach": self.attach, "send_text": self.send_text}

    def attach(self, on_message: Callable[[str | bytes], None]) -> None:
        """Give every message from now on to `on_message`, in order; those already queued stay with ASGI's `receive`."""
        self._on_message = on_message

    def _direct(self) -> bool:
        """Whether a message may go past ASGI's queue now."""
        if not self._overtaking:
            self._overtaking = self._on_message is not None and self.queue.empty()
        return self._overtaking and self.conn.state is OPEN

    def _give(self, frame: bytes, payload: int) -> bool:
        """Give a plain text frame on; whether that could be done. It cannot amid a message in parts."""
        if self.conn.current_size is not None:
            return False
        try:
            message = text(frame, payload)
        except UnicodeDecodeError:
            return False
        self._count(1)
        assert self._on_message is not None
        self._on_message(message)
        return True

    async def send_text(self, message: str) -> None:
        """Send past ASGI, once the peer has read enough of what was sent before. Raises RuntimeError after the end."""
        if not self.writable.is_set():
            await self.writable.wait()
        if self.conn.state is not OPEN:
            raise RuntimeError("the socket is closed")
        self.transport.write(text_frame(message))

    def send_receive_event_to_app(self) -> None:
        """See WebSocketsSansIOProtocol."""
        if not self._direct():
            super().send_receive_event_to_app()
            return
        assert self._on_message is not None
        data = self.frames[0] if len(self.frames) == 1 else b"".join(self.frames)
        if self.curr_msg_data_type == "text":
            try:
                self._on_message(data.decode())
            except UnicodeDecodeError:
                super().send_receive_event_to_app()
        else:
            self._on_message(data)

    def handle_events(self) -> None:
        """See WebSocketsSansIOProtocol."""
        new = len(self.conn.events)
        super().handle_events()
        self._count(new)

    def _count(self, new: int) -> None:
        self._frames += new
        if self._frames > self._allowed:
            age_s = self.loop.time() - self._opened_s
            self._allowed = FRAMES_A_SECOND * (age_s + self.config.limits.max_ahead_s)
            if self._frames > self._allowed:
                self._flooded()

    async def run_asgi(self) -> None:
        """See WebSocketsSansIOProtocol; a peer that never reads the end does not keep the connection."""
        await super().run_asgi()
        self.loop.call_later(self.close_timeout, self.transport.abort)

    def _flooded(self) -> None:
        self.conn.fail(NOT_ALLOWED, f"more than {FRAMES_A_SECOND} frames a second")
        if self.close_sent or self.conn.close_sent is None:
            self.transport.abort()
        else:
            self.handle_parser_exception()
