"""The OpenAPI document over HTTP: GET /api/openapi.json."""

from collections.abc import Sequence
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from telephony.server.openapi.document import document
from telephony.server.openapi.operation import ApiRoute, ApiSocket, Operation
from telephony.server.sign_in.gate import Gate
from telephony.server.sign_in.person import Role

SHOW = Operation("GET", "/api/openapi.json", "This document", Role.VIEWER, "any", answer=dict[str, Any])


class OpenApi:
    """The endpoint of one server."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._text = b""

    def routes(self) -> list[BaseRoute]:
        """Where it is."""
        return [SHOW.route(self._show)]

    def describe(self, routes: Sequence[BaseRoute], version: str) -> None:
        """Make the document of these routes, once."""
        operations = [route.operation for route in routes if isinstance(route, (ApiRoute, ApiSocket))]
        self._text = msgspec.json.encode(document(operations, version))

    async def _show(self, request: Request) -> Response:
        if isinstance(refusal := self._gate.admit(request, SHOW.role, SHOW.scope), Response):
            return refusal
        return Response(self._text, media_type="application/json")
