"""Tokens for phones in web pages: POST /browser/token.

A page's own server asks for one with an API token or the control token. voxline's own page may ask by itself as long as
only this machine can reach the server, and elsewhere for operators who are signed in (sign_in/gate.py). Pages from
elsewhere are refused before (http/access.py).
"""

import time
from collections.abc import Container
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from config.keys import checked
from config.settings import Settings
from telephony.lines.browser.grants import Grant, Grants, TooMany
from telephony.lines.browser.service import PATH
from telephony.lines.request_body import read_body
from telephony.server.http.access import from_here
from telephony.server.openapi.operation import Operation
from telephony.server.sign_in.gate import Gate
from telephony.server.sign_in.person import Role
from telephony.server.sign_in.scope import Scope

MAX_BYTES = 4096  # of a request
RETRY_S = 60


class TokenWanted(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a request."""

    agent: Annotated[str, msgspec.Meta(max_length=100)] = ""  # call.agent if empty
    keys: Annotated[str, msgspec.Meta(max_length=100)] = ""  # pressed before the greeting


class TokenIssued(msgspec.Struct):
    """The answer."""

    token: str
    expires_s: float
    media: str = PATH


ISSUE = Operation(
    "POST",
    "/browser/token",
    "A token for a call from a web page",
    Role.OPERATOR,
    Scope.BROWSER_TOKEN,
    TokenIssued,
    201,
    body=TokenWanted,
    has_usual=True,
    errors=(400, 404, 413, 503),
)


class BrowserTokens:
    """The endpoint of one server."""

    def __init__(self, settings: Settings, agents: Container[str], grants: Grants, gate: Gate) -> None:
        self._settings = settings
        self._agents = agents
        self._grants = grants
        self._gate = gate

    def routes(self) -> list[BaseRoute]:
        """Where it is."""
        return [ISSUE.route(self._issue)]

    def _refusal(self, request: Request) -> Response | None:
        """The answer to whoever may not call. On this machine alone voxline's own page may, whoever sits there."""
        own = request.headers.get("origin") == f"http://{request.headers.get('host', '')}"
        if not self._settings.secured and own and from_here(request):
            return None
        person = self._gate.admit(request, ISSUE.role, ISSUE.scope)
        return person if isinstance(person, Response) else None

    async def _issue(self, request: Request) -> Response:
        if refusal := self._refusal(request):
            return refusal
        refused = self._gate.refused
        body = await read_body(request, MAX_BYTES)
        if body is None:
            return refused(request, 413, "a request longer than %d bytes", MAX_BYTES)
        try:
            wanted = msgspec.json.decode(body or b"{}", type=TokenWanted)
            checked(wanted.keys or "1")
        except (msgspec.DecodeError, ValueError) as error:
            return refused(request, 400, "%s", error)
        agent = wanted.agent or self._settings.call.agent
        if agent not in self._agents:
            return refused(request, 404, "there is no agent %.40r", agent)
        try:
            token = self._grants.issue(Grant(agent, wanted.keys), time.monotonic())
        except TooMany:
            answer = refused(request, 503, "too many tokens are waiting to be used")
            answer.headers["Retry-After"] = str(RETRY_S)
            return answer
        issued = TokenIssued(token, self._grants.lifetime_s)
        return Response(msgspec.json.encode(issued), 201, {"Cache-Control": "no-store"}, media_type="application/json")
