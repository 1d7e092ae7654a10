"""uvicorn's WebSocket connections, with the limits that they lack and a shortcut for messages."""

from collections.abc import Callable
from typing import Any

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol
from websockets.http11 import Request
from websockets.protocol import OPEN

from telephony.lines.close_codes import CloseCode
from telephony.lines.refusals import MAX_PATH
from telephony.lines.stream.stream_call import DIRECT
from telephony.server.http.connection import HttpConfig
from telephony.server.http.frames import TEXT, Frames, binary_frame, text, text_frame

FRAMES_A_SECOND = 200  # WebSocket frames of every kind; Twilio sends little more than 50


class MediaConnection(WebSocketsSansIOProtocol):
    """Counts frames of every kind, including those that the application never sees. Messages go straight to the
    callback given to `attach`. Through ASGI's queue, each would stop and start the reading of the socket (two system
    calls) and wake a task: a fifth of a frame's cost. Plain text frames bypass even the library's parser (see
    frames.py).
    """

    config: HttpConfig
    _on_message: Callable[[str | bytes], None] | None = None
    _overtaking = False  # whether messages may bypass ASGI's queue, now that it has been empty

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.close_timeout = self.config.limits.send_timeout_s
        self._incoming = Frames(self.config.ws_max_size)
        self._frames = 0  # so far
        self._allowed = 0.0  # when the clock was last read
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
            self._tell_bad_handshake()
            self.transport.write(b"".join(self.conn.data_to_send()))
            self.transport.close()

    def handle_connect(self, event: Request) -> None:
        """See WebSocketsSansIOProtocol."""
        super().handle_connect(event)
        if self.response.status_code != 101:
            self._tell_bad_handshake()
        elif extensions := self.scope["extensions"]:
            extensions[DIRECT] = {
                "attach": self.attach,
                "send_text": self.send_text,
                "send_bytes": self.send_bytes,
            }

    def _tell_bad_handshake(self) -> None:
        self.config.refusals.tell(400, "not a WebSocket: %s", str(self.conn.handshake_exc)[:MAX_PATH], peer=self.client)

    def attach(self, on_message: Callable[[str | bytes], None]) -> None:
        """From now on pass every message to `on_message`, in order; messages already queued stay with ASGI's
        `receive`."""
        self._on_message = on_message

    def _direct(self) -> bool:
        """Whether a message may bypass ASGI's queue now."""
        if not self._overtaking:
            self._overtaking = self._on_message is not None and self.queue.empty()
        return self._overtaking and self.conn.state is OPEN

    def _give(self, frame: bytes, payload: int) -> bool:
        """Pass a plain text frame on. False in the middle of a fragmented message, where that is impossible."""
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
        """Send without ASGI, once the peer has read enough of what was sent before. Raises RuntimeError after the
        connection has closed."""
        await self._send_frame(text_frame(message))

    async def send_bytes(self, message: bytes) -> None:
        """The same for a message of bytes."""
        await self._send_frame(binary_frame(message))

    async def _send_frame(self, frame: bytes) -> None:
        if not self.writable.is_set():
            await self.writable.wait()
        if self.conn.state is not OPEN:
            raise RuntimeError("the socket is closed")
        self.transport.write(frame)

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

    async def send(self, message: Any) -> None:
        """See WebSocketsSansIOProtocol, which takes an upgrade that was refused for one that was forgotten."""
        await super().send(message)
        if self.close_sent:
            self.handshake_complete = True

    async def run_asgi(self) -> None:
        """See WebSocketsSansIOProtocol; a peer that never reads the end does not keep the connection."""
        await super().run_asgi()
        self.loop.call_later(self.close_timeout, self.transport.abort)

    def _flooded(self) -> None:
        self.conn.fail(CloseCode.POLICY_VIOLATION, f"more than {FRAMES_A_SECOND} frames a second")
        if self.close_sent or self.conn.close_sent is None:
            self.transport.abort()
        else:
            self.handle_parser_exception()
