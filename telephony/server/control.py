"""Outbound calls over HTTP: POST /calls, GET and DELETE /calls/ID.

Every request carries the server's token (control_token.py).
"""

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from telephony.lines.outbound_call import CallRequest, OutboundCall
from telephony.lines.request_body import read_body
from telephony.lines.sip.outbound import CallRequestError, OutboundCalls
from telephony.server.control_token import ControlToken

MAX_BYTES = 8192  # of a request


class Control:
    """The endpoints of one server. Without `outbound` SIP is off, and every call is refused."""

    def __init__(self, outbound: OutboundCalls | None, token: ControlToken) -> None:
        self._outbound = outbound
        self._token = token

    def routes(self) -> list[Route]:
        """Where they are."""
        return [
            Route("/calls", self._place, methods=["POST"]),
            Route("/calls/{id}", self._show, methods=["GET"]),
            Route("/calls/{id}", self._cancel, methods=["DELETE"]),
        ]

    async def _place(self, request: Request) -> Response:
        if refusal := self._token.stranger(request):
            return refusal
        body = await read_body(request, MAX_BYTES)
        if body is None:
            return self._token.refused(request, 413, "a request longer than %d bytes", MAX_BYTES)
        try:
            asked = msgspec.json.decode(body, type=CallRequest)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return self._token.refused(request, 400, "%s", error)
        if self._outbound is None:
            return self._token.refused(request, 409, "SIP is off: sip.enabled is false")
        try:
            call = self._outbound.originate(asked.to, asked.agent, asked.trunk, asked.keys)
        except CallRequestError as error:
            return self._token.refused(request, 409 if error.now else 422, "%s", error)
        return _json(call, 201, {"Location": f"/calls/{call.id}"})

    async def _show(self, request: Request) -> Response:
        return self._known(request) if (refusal := self._token.stranger(request)) is None else refusal

    async def _cancel(self, request: Request) -> Response:
        if refusal := self._token.stranger(request):
            return refusal
        if self._outbound is not None:
            self._outbound.cancel(request.path_params["id"])
        return self._known(request)

    def _known(self, request: Request) -> Response:
        """The call in the path, in its present state."""
        call = self._outbound.get(request.path_params["id"]) if self._outbound is not None else None
        return _json(call) if call is not None else self._token.refused(request, 404, "there is no such call")


def _json(call: OutboundCall, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(call), status, headers, media_type="application/json")
