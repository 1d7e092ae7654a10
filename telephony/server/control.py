"""Outbound calls over HTTP: POST /calls, GET and DELETE /calls/ID.

Every request carries the token that stands in `control-token` in the server's data folder, so only users who can read
that file can place calls. The token is new after each start.
"""

import hmac
import logging
import os
import secrets
from pathlib import Path

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from config import private
from telephony.lines.outbound_call import TOKEN_FILE, CallRequest, OutboundCall
from telephony.lines.refusals import MAX_PATH, Refusals
from telephony.lines.request_body import read_body
from telephony.lines.sip.outbound import CallRequestError, OutboundCalls

MAX_BYTES = 8192  # of a request

logger = logging.getLogger("voxline.control")


class _Error(msgspec.Struct):
    error: str


class Control:
    """The endpoints of one server. Without `outbound` SIP is off, and every call is refused."""

    def __init__(self, outbound: OutboundCalls | None, refusals: Refusals) -> None:
        self._outbound = outbound
        self._refusals = refusals
        self._token = secrets.token_urlsafe(32)

    def routes(self) -> list[Route]:
        """Where they are."""
        return [
            Route("/calls", self._place, methods=["POST"]),
            Route("/calls/{id}", self._show, methods=["GET"]),
            Route("/calls/{id}", self._cancel, methods=["DELETE"]),
        ]

    def publish(self, folder: Path) -> None:
        """Write the token to a file that only the server's own user can read. If that fails, nobody can place calls,
        and the log says so."""
        path = folder / TOKEN_FILE
        new = path.with_name(f"{TOKEN_FILE}.{os.getpid()}")
        try:
            private.make_folder(folder)
            new.unlink(missing_ok=True)
            with os.fdopen(os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="ascii") as file:
                file.write(self._token + "\n")
            new.replace(path)
        except OSError as error:
            logger.warning("no calls can be placed: cannot write %s: %s", path, error.strerror)

    async def _place(self, request: Request) -> Response:
        if refusal := self._stranger(request):
            return refusal
        body = await read_body(request, MAX_BYTES)
        if body is None:
            return self._refused(request, 413, "a request longer than %d bytes", MAX_BYTES)
        try:
            asked = msgspec.json.decode(body, type=CallRequest)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return self._refused(request, 400, "%s", error)
        if self._outbound is None:
            return self._refused(request, 409, "SIP is off: sip.enabled is false")
        try:
            call = self._outbound.originate(asked.to, asked.agent, asked.trunk, asked.keys)
        except CallRequestError as error:
            return self._refused(request, 409 if error.now else 422, "%s", error)
        return _json(call, 201, {"Location": f"/calls/{call.id}"})

    async def _show(self, request: Request) -> Response:
        return self._known(request) if (refusal := self._stranger(request)) is None else refusal

    async def _cancel(self, request: Request) -> Response:
        if refusal := self._stranger(request):
            return refusal
        if self._outbound is not None:
            self._outbound.cancel(request.path_params["id"])
        return self._known(request)

    def _known(self, request: Request) -> Response:
        """The call in the path, in its present state."""
        call = self._outbound.get(request.path_params["id"]) if self._outbound is not None else None
        return _json(call) if call is not None else self._refused(request, 404, "there is no such call")

    def _stranger(self, request: Request) -> Response | None:
        """The refusal of a request without the token."""
        given = request.headers.get("authorization", "").encode("latin-1")
        if hmac.compare_digest(given, f"Bearer {self._token}".encode()):
            return None
        return self._refused(request, 401, "the token is missing or wrong")

    def _refused(self, request: Request, status: int, reason: str, *details: object) -> Response:
        text = self._refusals.tell(status, reason, *details, path=request.url.path[:MAX_PATH])
        return _json(_Error(text), status, {"WWW-Authenticate": "Bearer"} if status == 401 else None)


def _json(value: OutboundCall | _Error, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    return Response(msgspec.json.encode(value), status, headers, media_type="application/json")
