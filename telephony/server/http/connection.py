"""uvicorn's HTTP connections, with the limits that they lack: no peer can hold one open for nothing, or flood it."""

from asyncio import TimerHandle, Transport
from http import HTTPStatus
from typing import Any

import httptools
import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from config.stream import StreamSettings
from telephony.lines.descriptors import Descriptors
from telephony.lines.refusals import MAX_PATH, Refusals

MAX_OVERHEAD_BYTES = 65_536  # of one request besides its body: its head, chunk headers, trailers
MAX_BODY_BYTES = 1_048_576  # including headers that nobody reads
MAX_HEADERS = 128
SPARE_CONNECTIONS = 1000  # besides those of calls: for webhooks, health, metrics
MAX_IN_FLIGHT = 16  # requests on one connection that wait for their answers


class HttpConfig(uvicorn.Config):
    """uvicorn's, and the limits of the connections."""

    limits: StreamSettings
    refusals: Refusals
    descriptors: Descriptors
    max_connections: int


class _Excess(Exception):
    """A limit is exceeded."""

    def __init__(self, status: HTTPStatus, reason: str, bound: int) -> None:
        super().__init__(reason % bound)
        self.status = status
        self.reason = reason
        self.bound = bound


class HttpConnection(HttpToolsProtocol):
    """A request must be complete within `start_timeout_s`, counted from the opening of the connection, and its answer
    must be read within `send_timeout_s`."""

    config: HttpConfig
    _deadline: TimerHandle | None = None  # for a whole request
    _unread: TimerHandle | None = None  # for reading an answer
    _overhead_bytes = 0  # of the present request
    _body_bytes = 0
    _in_head = True  # or before it
    _refused = False
    _answering: RequestResponseCycle | None = None  # the request being answered; `cycle` is the last one

    def connection_made(self, transport: Transport) -> None:  # type: ignore[override]
        """See asyncio.Protocol."""
        super().connection_made(transport)
        transport.set_write_buffer_limits(0)  # so that `pause_writing` is called for anything unread
        descriptors, most = self.config.descriptors, self.config.max_connections
        if descriptors.spent(transport.get_extra_info("socket").fileno()):
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, descriptors.ADVICE, descriptors.limit)
        elif len(self.connections) > most:
            self._refuse(HTTPStatus.SERVICE_UNAVAILABLE, "more than %d connections", most)
        else:
            self._expect_request()

    def connection_lost(self, exc: Exception | None) -> None:
        """See asyncio.Protocol."""
        self._stop_waiting()
        if self._unread:
            self._unread.cancel()
        if not self._in_head and not self._refused:
            self.config.refusals.tell(400, "a request that broke off", peer=self.client)
        self._abandon()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """See asyncio.Protocol. Unlike HttpToolsProtocol's it tells what was wrong."""
        self._unset_keepalive_if_required()
        if self._deadline is None:
            self._expect_request()  # even if it never becomes one, such as empty lines
        self._overhead_bytes += len(data)
        try:
            self.parser.feed_data(data)
            if self._overhead_bytes > MAX_OVERHEAD_BYTES:
                raise _Excess(
                    HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "more than %d bytes besides a body", MAX_OVERHEAD_BYTES
                )
        except httptools.HttpParserUpgrade:
            if not self._should_upgrade():
                self.cycle.keep_alive = False  # answered as a plain request; what follows is not HTTP
                return
            if self._busy:
                self._refuse(HTTPStatus.BAD_REQUEST, "an upgrade while a request is in flight")
                return
            self._stop_waiting()
            if self._unread:
                self._unread.cancel()
            self.transport.set_write_buffer_limits()
            self.handle_websocket_upgrade()
        except httptools.HttpParserError as error:
            cause = error.__context__
            if isinstance(cause, _Excess):
                self._refuse(cause.status, cause.reason, cause.bound)
            else:
                self._refuse(HTTPStatus.BAD_REQUEST, "not HTTP: %s", str(cause or error)[:MAX_PATH])
        except _Excess as excess:
            self._refuse(excess.status, excess.reason, excess.bound)

    # Called by the parser. Their exceptions reach `data_received` as HttpParserError.

    def on_message_begin(self) -> None:
        """See HttpToolsProtocol."""
        super().on_message_begin()
        self._expect_request()

    def on_header(self, name: bytes, value: bytes) -> None:
        """See HttpToolsProtocol. A trailer is none of the head's (RFC 9110, 6.5.1)."""
        if not self._in_head:
            return
        if len(self.headers) >= MAX_HEADERS:
            raise _Excess(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "more than %d headers", MAX_HEADERS)
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        """See HttpToolsProtocol."""
        super().on_headers_complete()
        self._in_head = False
        if len(self.pipeline) >= MAX_IN_FLIGHT:
            raise _Excess(HTTPStatus.TOO_MANY_REQUESTS, "more than %d requests in flight", MAX_IN_FLIGHT)

    def on_body(self, body: bytes) -> None:
        """See HttpToolsProtocol."""
        self._overhead_bytes -= len(body)
        self._body_bytes += len(body)
        if self._body_bytes > MAX_BODY_BYTES:
            raise _Excess(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "a body longer than %d bytes", MAX_BODY_BYTES)
        super().on_body(body)

    def on_message_complete(self) -> None:
        """See HttpToolsProtocol."""
        self._stop_waiting()
        self._in_head = True
        self._overhead_bytes = self._body_bytes = 0
        super().on_message_complete()

    def _start_asgi_task(self, cycle: RequestResponseCycle, app: Any) -> None:
        self._answering = cycle
        super()._start_asgi_task(cycle, app)

    @property
    def _unanswered(self) -> bool:
        """Whether an answer written now would be taken for the answer to the request being received."""
        if self._in_head:
            return not self._busy
        return self.cycle is self._answering and not self.cycle.response_started

    @property
    def _busy(self) -> bool:
        """Whether an answer is owed."""
        return self._answering is not None and not self._answering.response_complete

    # Deadlines

    def _expect_request(self) -> None:
        self._stop_waiting()
        self._deadline = self.loop.call_later(self.config.limits.start_timeout_s, self._too_slow)

    def _stop_waiting(self) -> None:
        if self._deadline:
            self._deadline.cancel()
            self._deadline = None

    def _too_slow(self) -> None:
        self._refuse(HTTPStatus.REQUEST_TIMEOUT, "no whole request within %g s", self.config.limits.start_timeout_s)

    def pause_writing(self) -> None:
        """See asyncio.Protocol: something is unread."""
        super().pause_writing()
        self._watch_reader(self.transport.get_write_buffer_size())

    def resume_writing(self) -> None:
        """See asyncio.Protocol: all is read."""
        super().resume_writing()
        if self._unread:
            self._unread.cancel()

    def _watch_reader(self, left: int) -> None:
        """Give the peer time to read some of the `left` unread bytes."""
        self._unread = self.loop.call_later(self.config.limits.send_timeout_s, self._look_at_reader, left)

    def _look_at_reader(self, left: int) -> None:
        now_left = self.transport.get_write_buffer_size()
        if now_left < left:
            self._watch_reader(now_left)
            return
        seconds = self.config.limits.send_timeout_s
        self.config.refusals.tell(408, "an answer that is not read within %g s", seconds, peer=self.client)
        self.transport.abort()

    # The end

    def _refuse(self, status: HTTPStatus, reason: str, *details: object) -> None:
        """Close the connection, with an answer unless it would land inside another one."""
        self._stop_waiting()
        if self.transport.is_closing():
            return
        self._refused = True
        text = self.config.refusals.tell(status, reason, *details, peer=self.client).encode()
        if self._unanswered:
            self.transport.write(
                f"HTTP/1.1 {status.value} {status.phrase}\r\nconnection: close\r\ncontent-type: text/plain\r\n"
                f"content-length: {len(text) + 1}\r\n\r\n".encode()
                + text
                + b"\n"
            )
        self._abandon()
        self.transport.close()

    def _abandon(self) -> None:
        """Have nothing more written: of the requests in flight, uvicorn forgets all but the last."""
        self.pipeline.clear()
        if self._answering and self._busy:
            self._answering.disconnected = True
            self._answering.message_event.set()
