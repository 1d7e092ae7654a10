"""Signing in and out."""

import logging
import math
from typing import Any

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from telephony.console.pages import SIGN_IN, Form, Pages, guarded, not_served, own_path, read_form
from telephony.server.sign_in.gate import Gate
from telephony.server.sign_in.person import Person, Role
from telephony.server.sign_in.sign_in import Refused, SignedIn

logger = logging.getLogger("voxline.console")


class SignInPage:
    """Of one server."""

    def __init__(self, pages: Pages, gate: Gate) -> None:
        self._pages = pages
        self._gate = gate

    def routes(self) -> list[Route]:
        """Where it is."""
        return [
            Route(SIGN_IN, self._show, methods=["GET"]),
            Route(SIGN_IN, self._check, methods=["POST"]),
            self._pages.form("/console/sign-out", self._out, Role.VIEWER),
        ]

    def by_link(self, request: Request, token: str) -> Response:
        """Somebody opens the link that `voxline serve` printed. It only works on this machine."""
        if refusal := not_served(request, self._gate):
            return refusal
        signed_in = self._gate.sign_in.by_link(token) if self._gate.is_local(request) else None
        if signed_in is None:
            self._gate.refused(request, 403, "a link to the console that is wrong, or from before the last start")
            return guarded(RedirectResponse(f"{SIGN_IN}?link=old", 303))
        return self._enter(request, signed_in, "local", "/console")

    async def _show(self, request: Request) -> Response:
        if refusal := not_served(request, self._gate):
            return refusal
        old_link = request.query_params.get("link") == "old"
        error = "This link is not valid, or no longer: the server has started anew since." if old_link else ""
        return await self._page(request, request.query_params.get("next", ""), error)

    async def _check(self, request: Request) -> Response:
        if refusal := not_served(request, self._gate):
            return refusal
        form = await read_form(request)
        if form is None:
            return await self._page(request, "", "This form cannot be read.", 400)
        gate, name = self._gate, form.get("name", "")
        found = await gate.sign_in.by_password(
            name, form.get("password", ""), gate.address(request), gate.device(request)
        )
        if isinstance(found, Refused):
            status = 429 if found.wait_s else 401
            gate.refused(request, status, "signing in to the console: %s", found.reason)
            wait_s = math.ceil(found.wait_s)
            text = f"{found.reason} Try again in {wait_s} s." if wait_s else found.reason
            response = await self._page(request, form.get("next", ""), text, status, name)
            if wait_s:
                response.headers["Retry-After"] = str(wait_s)
            return response
        return self._enter(request, found, name, own_path(form.get("next", "")))

    def _enter(self, request: Request, signed_in: SignedIn, name: str, path: str) -> Response:
        logger.info("signed in", extra={"who": name, "address": self._gate.address(request)})
        response = guarded(RedirectResponse(path, 303))
        self._gate.begin(request, signed_in, response)
        return response

    async def _out(self, request: Request, _: Person, __: Form) -> Response:
        response = RedirectResponse(SIGN_IN, 303)
        self._gate.end(request, response)
        return response

    async def _page(self, request: Request, after: str, error: str, status: int = 200, name: str = "") -> Response:
        values: dict[str, Any] = {"after": own_path(after), "error": error, "name": name[:64]}
        values |= {"local": self._gate.is_local(request), "has_users": self._gate.sign_in.has_users}
        return guarded(await self._pages.show(request, None, "sign_in.html", status, **values))
