"""Tokens for phones in web pages: POST /browser/token.

A page's own server asks for one with this server's control token. voxline's own page may ask by itself as long as only
this machine can reach the server: pages from elsewhere are refused before (http/access.py).
"""

import time
from collections.abc import Container
from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from config.keys import checked
from config.settings import Settings
from telephony.lines.browser.grants import Grant, Grants, TooMany
from telephony.lines.browser.service import PATH
from telephony.lines.request_body import read_body
from telephony.server.control_token import ControlToken
from telephony.server.http.access import from_here

MAX_BYTES = 4096  # of a request
RETRY_S = 60


class _Wanted(msgspec.Struct, forbid_unknown_fields=True):
    """The body of a request."""

    agent: Annotated[str, msgspec.Meta(max_length=100)] = ""  # call.agent if empty
    keys: Annotated[str, msgspec.Meta(max_length=100)] = ""  # pressed before the greeting


class _Issued(msgspec.Struct):
    """The answer."""

    token: str
    expires_s: float
    media: str = PATH


class BrowserTokens:
    """The endpoint of one server."""

    def __init__(self, settings: Settings, agents: Container[str], grants: Grants, token: ControlToken) -> None:
        self._settings = settings
        self._agents = agents
        self._grants = grants
        self._token = token

    def routes(self) -> list[Route]:
        """Where it is."""
        return [Route("/browser/token", self._issue, methods=["POST"])]

    def _may_call(self, request: Request) -> bool:
        """Whether the request comes from voxline's own page, in the browser of somebody who may call. Who signs in
        elsewhere than on this machine is to be asked for here."""
        own = request.headers.get("origin") == f"http://{request.headers.get('host', '')}"
        return not self._settings.secured and own and from_here(request)

    async def _issue(self, request: Request) -> Response:
        if not self._may_call(request) and (refusal := self._token.stranger(request)):
            return refusal
        refused = self._token.refused
        body = await read_body(request, MAX_BYTES)
        if body is None:
            return refused(request, 413, "a request longer than %d bytes", MAX_BYTES)
        try:
            wanted = msgspec.json.decode(body or b"{}", type=_Wanted)
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
        issued = _Issued(token, self._grants.lifetime_s)
        return Response(msgspec.json.encode(issued), 201, {"Cache-Control": "no-store"}, media_type="application/json")
