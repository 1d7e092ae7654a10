"""Outbound calls over HTTP: POST /calls, GET and DELETE /calls/ID.

Who may is decided by the gate (sign_in/gate.py). Errors are JSON: {"error": "..."}.
"""

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from telephony.lines.outbound_call import CallRequest, OutboundCall
from telephony.lines.request_body import read_body
from telephony.lines.sip.outbound import CallRequestError, OutboundCalls
from telephony.server.openapi.operation import Operation
from telephony.server.sign_in.gate import Gate
from telephony.server.sign_in.person import Role
from telephony.server.sign_in.scope import Scope

MAX_BYTES = 8192  # of a request
_PLACE = (Role.ADMIN, Scope.CALLS_PLACE)
_CALL = "An outbound call: its id."
PLACE = Operation(
    "POST",
    "/calls",
    "Place an outbound call",
    *_PLACE,
    OutboundCall,
    201,
    body=CallRequest,
    errors=(400, 409, 413, 422),
    follow=True,
)
SHOW = Operation("GET", "/calls/{id}", "An outbound call as it is now", *_PLACE, OutboundCall, errors=(404,), id=_CALL)
CANCEL = Operation("DELETE", "/calls/{id}", "End an outbound call", *_PLACE, OutboundCall, errors=(404,), id=_CALL)


class Control:
    """The endpoints of one server. Without `outbound` SIP is off, and every call is refused."""

    def __init__(self, outbound: OutboundCalls | None, gate: Gate) -> None:
        self._outbound = outbound
        self._gate = gate

    def routes(self) -> list[BaseRoute]:
        """Where they are."""
        return [
            PLACE.route(self._place),
            SHOW.route(self._show),
            CANCEL.route(self._cancel),
        ]

    async def _place(self, request: Request) -> Response:
        if isinstance(refusal := self._gate.admit(request, PLACE.role, PLACE.scope), Response):
            return refusal
        body = await read_body(request, MAX_BYTES)
        if body is None:
            return self._gate.refused(request, 413, "a request longer than %d bytes", MAX_BYTES)
        try:
            asked = msgspec.json.decode(body, type=CallRequest)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return self._gate.refused(request, 400, "%s", error)
        if self._outbound is None:
            return self._gate.refused(request, 409, "SIP is off: sip.enabled is false")
        try:
            call = self._outbound.originate(asked.to, asked.agent, asked.trunk, asked.keys)
        except CallRequestError as error:
            return self._gate.refused(request, 409 if error.now else 422, "%s", error)
        return _json(call, 201, {"Location": f"/calls/{call.id}"})

    async def _show(self, request: Request) -> Response:
        if isinstance(refusal := self._gate.admit(request, SHOW.role, SHOW.scope), Response):
            return refusal
        return self._known(request)

    async def _cancel(self, request: Request) -> Response:
        if isinstance(refusal := self._gate.admit(request, CANCEL.role, CANCEL.scope), Response):
            return refusal
        if self._outbound is not None:
            self._outbound.cancel(request.path_params["id"])
        return self._known(request)

    def _known(self, request: Request) -> Response:
        """The call in the path, in its present state."""
        call = self._outbound.get(request.path_params["id"]) if self._outbound is not None else None
        return _json(call) if call is not None else self._gate.refused(request, 404, "there is no such call")


def _json(call: OutboundCall, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(call), status, headers, media_type="application/json")
