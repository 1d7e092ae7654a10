"""Decides who may do what over HTTP: the only place that does, for /api and for the console's pages.

Programs send the server's token (control_token.py) and may do everything, or one of their own (api_tokens.py) and may
do what its scopes say. People sign in, and their browsers send a cookie; with everything that changes something, their
pages send a token that no other site's page can know.
"""

import hmac
import time
from collections.abc import Callable

from starlette.requests import HTTPConnection
from starlette.responses import Response
from starlette.websockets import WebSocket

from config.settings import Settings, is_loopback
from telephony.server.control_token import ControlToken
from telephony.server.errands import Errands
from telephony.server.http.access import Access, from_here
from telephony.server.sign_in.api_tokens import PREFIX
from telephony.server.sign_in.person import Person, Role
from telephony.server.sign_in.scope import Needed, Scope
from telephony.server.sign_in.sign_in import SignedIn, SignIn
from telephony.server.sign_in.token_file import TokenFile

SAFE = ("GET", "HEAD")
CSRF_HEADER = "X-CSRF-Token"
PROGRAM = Person("control token", Role.ADMIN)
DEVICE_S = 365 * 86_400
NO_TLS = (
    "The console is not served here: passwords and calls would go over the network unencrypted. Put a proxy with TLS "
    "in front of voxline and set console.tls_proxy: true, or open the console on this machine, with server.host: "
    "127.0.0.1 (docs/console.md)."
)
PLAIN = (
    "The console is served over HTTPS only. console.tls_proxy is true, so the proxy must send X-Forwarded-Proto: https "
    "with requests that came to it that way (docs/console.md)."
)


class Gate:
    """Of one server."""

    def __init__(
        self,
        settings: Settings,
        access: Access,
        token: ControlToken,
        tokens: TokenFile,
        *,
        errands: Errands | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.sign_in = SignIn(settings.console, errands, clock)
        self.refused = token.refused
        self._settings = settings
        self._access = access
        self._token = token
        self._tokens = tokens
        self._clock = clock

    def admit(self, connection: HTTPConnection, role: Role, scope: Needed = None) -> Person | Response:
        """Whoever makes this request, if they may do what needs this role or, by an API token, this scope; else the
        refusal, as JSON."""
        person = self._program(connection) or self.person(connection)
        if person is None:
            return self.refused(connection, 401, "the token is missing or wrong")
        if not person.may(role, scope):
            if person.scopes is None:
                return self.refused(connection, 403, "that needs the role %s", role.name.lower())
            return self.refused(connection, 403, "that needs %s", f"the scope {scope}" if scope else "a session")
        if not self.is_own(connection, person, connection.headers.get(CSRF_HEADER, "")):
            return self.refused(connection, 403, "the header %s is missing or wrong", CSRF_HEADER)
        return person

    def person(self, connection: HTTPConnection) -> Person | None:
        """Whoever makes this request, whatever they may do. API tokens are for the API: here they are nobody's."""
        if self._token.fits(connection):
            return PROGRAM
        key = connection.cookies.get(self._cookie(connection), "")
        if not key or self.closed(connection):
            return None
        return self.sign_in.sessions.person(key, self._clock())

    def opens(self, connection: HTTPConnection, scope: Scope) -> bool:
        """Whether a request has an API token with this scope."""
        person = self._program(connection)
        return person is not None and scope in (person.scopes or ())

    def _program(self, connection: HTTPConnection) -> Person | None:
        """The program whose API token this is. What it does goes on record under the token's name."""
        token = self._tokens.find(bearer) if (bearer := _bearer(connection)) else None
        return None if token is None else Person(f"token {token.name}", Role.VIEWER, scopes=token.scopes)

    def is_known(self, connection: HTTPConnection) -> bool:
        """Whether whoever made a request that goes on is still known."""
        if self._token.fits(connection) or ((given := _bearer(connection)) and self._tokens.good(given)):
            return True
        key = connection.cookies.get(self._cookie(connection), "")
        return self.sign_in.sessions.is_on(key, self._clock())

    @staticmethod
    def is_own(connection: HTTPConnection, person: Person, given: str) -> bool:
        """Whether a request that may change something comes from a page of ours; programs need not prove it, nor does
        what changes nothing. A page that opens a WebSocket is known by its Origin, which Access has compared."""
        if not person.csrf:
            return True
        if isinstance(connection, WebSocket):
            return "origin" in connection.headers
        csrf = given.encode("utf-8", "surrogatepass")
        return connection.scope["method"] in SAFE or hmac.compare_digest(csrf, person.csrf.encode())

    def closed(self, connection: HTTPConnection) -> str:
        """Why nobody may sign in over this connection; empty where they may."""
        if self.is_local(connection):
            return ""
        if not self._settings.console.tls_proxy:
            return NO_TLS
        return "" if connection.headers.get("x-forwarded-proto") == "https" else PLAIN

    def is_local(self, connection: HTTPConnection) -> bool:
        """Whether it comes from this machine, and the server can be reached from no other."""
        return is_loopback(self._settings.server.host) and from_here(connection)

    def address(self, connection: HTTPConnection) -> str:
        """Of whoever makes this request: behind a proxy, what the proxy has added last."""
        forwarded = connection.headers.get("x-forwarded-for", "").rpartition(",")[2].strip()
        peer = connection.client.host if connection.client else ""
        return forwarded or peer if self._settings.console.tls_proxy else peer

    # Cookies

    def device(self, connection: HTTPConnection) -> str:
        """The browser's proof that its user has signed in there before, if any."""
        return connection.cookies.get(f"{self._cookie(connection)}-device", "")

    def begin(self, connection: HTTPConnection, signed_in: SignedIn, response: Response) -> None:
        """Have the browser keep its session, in place of an earlier one."""
        self.sign_in.sessions.end(connection.cookies.get(self._cookie(connection), ""))
        self._set(connection, response, self._cookie(connection), signed_in.key)
        if signed_in.device:
            name = f"{self._cookie(connection)}-device"
            self._set(connection, response, name, signed_in.device, max_age=DEVICE_S)

    def end(self, connection: HTTPConnection, response: Response) -> None:
        """Sign out."""
        self.sign_in.sessions.end(connection.cookies.get(self._cookie(connection), ""))
        self._set(connection, response, self._cookie(connection), "", max_age=0)

    def _set(
        self, connection: HTTPConnection, response: Response, name: str, value: str, max_age: int | None = None
    ) -> None:
        secure = not self.is_local(connection)
        response.set_cookie(name, value, max_age=max_age, path="/", secure=secure, httponly=True, samesite="strict")

    def _cookie(self, connection: HTTPConnection) -> str:
        """Its name. Browsers keep the cookies of all ports of a host together, so on this machine the port is in it."""
        return f"voxline-{connection.url.port or 80}" if self.is_local(connection) else "__Host-voxline"


def _bearer(connection: HTTPConnection) -> str:
    """What looks like an API token; else empty."""
    kind, _, given = connection.headers.get("authorization", "").partition(" ")
    return given if kind == "Bearer" and given.startswith(PREFIX) else ""
