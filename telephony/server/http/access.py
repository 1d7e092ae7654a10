"""Decides which requests are served at all: none from a foreign web page, and some only from this machine.

A server without credentials listens on loopback, which browsers can reach too. Two headers give away a hostile page:
`Origin`, which Twilio does not send, and `Host`, which holds the attacker's own name after DNS rebinding.
"""

import hmac
from contextlib import suppress
from urllib.parse import urlsplit

from starlette.middleware import Middleware
from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.types import ASGIApp, Receive, Scope, Send

from config.settings import Settings, is_loopback
from telephony.lines.refusals import Refusals

PHONE = "/browser/"  # what pages of `browser.origins` may request
# Headers that proxies and tunnels add. Behind one on this machine, everybody comes from loopback.
FORWARDING = ("x-forwarded", "forwarded", "via", "x-real-ip", "cf-connecting-ip", "true-client-ip", "x-client-ip")


class Access:
    """The rules of one server."""

    def __init__(self, settings: Settings, refusals: Refusals) -> None:
        self._secured = settings.secured
        self._metrics_token = settings.server.metrics_token.get_secret_value()
        self._public = urlsplit(settings.server.public_url)
        self._origins = settings.browser.origins
        self._refusals = refusals

    def refusal(self, connection: HTTPConnection) -> Response | None:
        """The answer that refuses a request or an upgrade; None where it is allowed."""
        hosts = connection.headers.getlist("host")
        if not self._secured:
            for host in hosts:
                if _name(host) != self._public.hostname and not is_loopback(_name(host)):
                    reason = "for the host %.80r, which is not this server's; is server.public_url right?"
                    return self._refusals.answer(connection, 421, reason, host)
        origin = connection.headers.get("origin")
        if (
            origin is not None
            and not _is_one_of(origin, [*hosts, self._public.netloc])
            and not _is_own_form(connection)
        ):
            if origin in self._origins and connection.url.path.startswith(PHONE):
                return None
            return self._refusals.answer(connection, 403, "from a page of %.80r in a browser", origin)
        return None

    def may_observe(self, connection: HTTPConnection) -> bool:
        """Whether the request may see how many calls there are and how they go: it has the token or, where none is set,
        comes from this machine and through no proxy."""
        if self._metrics_token:
            given = connection.headers.get("authorization", "").encode("latin-1")
            return hmac.compare_digest(given, f"Bearer {self._metrics_token}".encode())
        return from_here(connection)


def guard(access: Access) -> Middleware:
    """The rules as middleware of Starlette."""
    return Middleware(_Guard, access=access)


class _Guard:
    def __init__(self, app: ASGIApp, access: Access) -> None:
        self._app = app
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._access.refusal(HTTPConnection(scope)) if scope["type"] in ("http", "websocket") else None
        if refusal is None:
            await self._app(scope, receive, send)
            return
        with suppress(RuntimeError, OSError):  # a socket that is gone already
            await refusal(scope, receive, send)


def from_here(connection: HTTPConnection) -> bool:
    """Whether the request comes from a program on this machine. A local proxy that adds no header is recognized by its
    Host alone."""
    client, headers = connection.client, connection.headers
    return (
        client is not None
        and is_loopback(client.host)
        and not any(name.startswith(FORWARDING) for name in headers)
        and all(is_loopback(_name(host)) for host in headers.getlist("host"))
    )


def _is_own_form(connection: HTTPConnection) -> bool:
    """Whether it is a form of a page of the console: pages that tell nobody where they are (Referrer-Policy) send the
    origin `null` with their forms. No script can set or change Sec-Fetch-Site, and a page in a sandbox is cross-site.
    """
    headers = connection.headers
    own = headers.get("origin") == "null" and headers.get("sec-fetch-site") == "same-origin"
    return own and connection.url.path.startswith("/console/")


def _is_one_of(origin: str, hosts: list[str]) -> bool:
    """Whether an origin, possibly `null`, is a page of one of these hosts (with ports)."""
    try:
        netloc = urlsplit(origin).netloc
    except ValueError:
        return False
    return bool(netloc) and netloc in hosts


def _name(host: str) -> str:
    """The name in a Host header, in lower case; empty when there is none."""
    try:
        return urlsplit(f"//{host}").hostname or ""
    except ValueError:
        return ""
