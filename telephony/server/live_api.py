"""Live calls over HTTP: GET /api/live and /api/live/ID follow them, POST /api/calls/ID/ACT acts on one, and WS
/api/calls/ID/audio listens in and speaks.

Who may is decided by the gate (sign_in/gate.py). Errors are JSON: {"error": "..."}.
"""

from collections.abc import AsyncGenerator
from contextlib import aclosing, suppress

import msgspec
from starlette.requests import HTTPConnection, Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute
from starlette.types import Send
from starlette.websockets import WebSocket, WebSocketDisconnect

from telephony.lines.request_body import read_body
from telephony.live.acts import BODIES, ActError, Acts
from telephony.live.live_calls import LiveCalls
from telephony.server.live_audio import LiveAudio
from telephony.server.openapi.operation import Operation
from telephony.server.sign_in.gate import Gate
from telephony.server.sign_in.person import Role
from telephony.server.sign_in.scope import Scope

MAX_BYTES = 16_384  # of a request


class Done(msgspec.Struct):
    """The act is carried out."""

    done: bool = True


_EVENTS = ("text/event-stream",)
_READ = (Role.VIEWER, Scope.CALLS_READ)
_ACT = (Role.OPERATOR, Scope.CALLS_ACT)
LIST = Operation(
    "GET", "/api/live", "Follow all live calls, by server-sent events", *_READ, media=_EVENTS, errors=(503,)
)
ONE = Operation(
    "GET", "/api/live/{id}", "Follow one live call, by server-sent events", *_READ, media=_EVENTS, errors=(404, 503)
)
ACTS = {
    act: Operation(
        "POST",
        f"/api/calls/{{id}}/{act}",
        (kind.__doc__ or "").rstrip("."),
        *_ACT,
        Done,
        body=kind,
        errors=(400, 404, 409, 413, 422),
    )
    for act, kind in BODIES.items()
}
AUDIO = Operation(
    "WEBSOCKET",
    "/api/calls/{id}/audio",
    "Listen in to a live call and, after taking over, speak",
    *_ACT,
    status=101,
    errors=(404, 409, 503),
)


class LiveApi:
    """The endpoints of one server."""

    def __init__(self, calls: LiveCalls, gate: Gate) -> None:
        self._calls = calls
        self._gate = gate

    def routes(self) -> list[BaseRoute]:
        """Where they are."""
        return [
            LIST.route(self._list),
            ONE.route(self._one),
            *(act.route(self._act) for act in ACTS.values()),
            AUDIO.socket(self._audio),
        ]

    def _entered(
        self, connection: HTTPConnection, what: Operation, *, looks: bool = True
    ) -> tuple[str, Acts] | Response:
        """Who asks, and for which live call, or the refusal. `looks`: they stay, as long as there is room."""
        person = self._gate.admit(connection, what.role, what.scope)
        if isinstance(person, Response):
            return person
        acts = self._calls.find(connection.path_params["id"])
        if acts is None:
            return self._gate.refused(connection, 404, "there is no such call now")
        if looks and self._calls.full:
            return self._gate.refused(connection, 503, "too many viewers")
        return person.name, acts

    async def _list(self, request: Request) -> Response:
        person = self._gate.admit(request, LIST.role, LIST.scope)
        if isinstance(person, Response):
            return person
        if self._calls.full:
            return self._gate.refused(request, 503, "too many viewers")
        return EventStream(self._while_signed_in(request, self._calls.list()))

    async def _one(self, request: Request) -> Response:
        entered = self._entered(request, ONE)
        if isinstance(entered, Response):
            return entered
        return EventStream(self._while_signed_in(request, self._calls.one(entered[1].call)))

    async def _while_signed_in(
        self, request: Request, events: AsyncGenerator[bytes, None]
    ) -> AsyncGenerator[bytes, None]:
        """Until the viewer signs out. To look on does not keep a session from ending."""
        async with aclosing(events):
            async for item in events:
                if not self._gate.is_known(request):
                    return
                yield item

    async def _act(self, request: Request) -> Response:
        name = request.url.path.rpartition("/")[2]
        entered = self._entered(request, ACTS[name], looks=False)
        if isinstance(entered, Response):
            return entered
        body = await read_body(request, MAX_BYTES)
        if body is None:
            return self._gate.refused(request, 413, "a request longer than %d bytes", MAX_BYTES)
        who, acts = entered
        try:
            acts.act(who, msgspec.json.decode(body, type=BODIES[name]))
        except (msgspec.DecodeError, UnicodeDecodeError, ActError) as error:
            return self._gate.refused(request, _status(error), "%s", error)
        return Response(msgspec.json.encode(Done()), media_type="application/json")

    async def _audio(self, websocket: WebSocket) -> None:
        entered = self._entered(websocket, AUDIO)
        if not isinstance(entered, Response) and not entered[1].call.begun:
            entered = self._gate.refused(websocket, 409, "the call has not been answered yet")
        if isinstance(entered, Response):
            with suppress(RuntimeError, WebSocketDisconnect):
                await websocket.send_denial_response(entered)
            return
        who, acts = entered
        with self._calls.viewing():
            await websocket.accept()
            await LiveAudio(websocket, acts, who, lambda: self._gate.is_known(websocket)).run()


def _status(error: Exception) -> int:
    """Of what was asked wrongly: not JSON, JSON with other content than is wanted, or an act that is refused."""
    if isinstance(error, ActError):
        return error.status
    return 422 if isinstance(error, msgspec.ValidationError) else 400


class EventStream(StreamingResponse):
    """Server-sent events. Whoever does not read them is disconnected by the server, see http/connection.py."""

    def __init__(self, events: AsyncGenerator[bytes, None]) -> None:
        headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
        super().__init__(events, headers=headers, media_type="text/event-stream")
        self._events = events

    async def stream_response(self, send: Send) -> None:
        """See StreamingResponse. The events end when the viewer does, not when the collector finds them."""
        async with aclosing(self._events):
            await super().stream_response(send)
