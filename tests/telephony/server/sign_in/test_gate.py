"""The gate: who may do what, by token or by session, and from where."""

from pathlib import Path
from typing import Any

import pytest
from starlette.requests import Request
from starlette.responses import Response
from starlette.websockets import WebSocket

from config.settings import load_settings
from telephony.lines.metrics import Metrics
from telephony.lines.outbound_call import TOKEN_FILE
from telephony.lines.refusals import Refusals
from telephony.server.control_token import ControlToken
from telephony.server.http.access import Access
from telephony.server.sign_in import api_tokens
from telephony.server.sign_in.gate import CSRF_HEADER, NO_TLS, PLAIN, PROGRAM, Gate
from telephony.server.sign_in.person import Person, Role
from telephony.server.sign_in.scope import Scope
from telephony.server.sign_in.token_file import TokenFile
from tests.telephony.server.sign_in.users import USERS

PUBLIC = {"server.host": "0.0.0.0", "twilio.auth_token": "x" * 32, "server.public_url": "https://voice.example.com"}
PROXY = {**PUBLIC, "console.tls_proxy": True}
HTTPS = {"x-forwarded-proto": "https", "x-forwarded-for": "203.0.113.9"}


class Entrance:
    """A gate and what stands before it."""

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.settings = given = load_settings(None, {"console.users": USERS, "server.data": str(folder), **settings})
        refusals = Refusals(Metrics())
        token = ControlToken(refusals)
        token.publish(folder)
        self.bearer = f"Bearer {(folder / TOKEN_FILE).read_text().strip()}"
        self.now_s = 0.0
        self.tokens = TokenFile(folder)
        self.gate = Gate(given, Access(given, refusals), token, self.tokens, clock=lambda: self.now_s)

    def request(self, method: str = "GET", kind: str = "http", peer: str = "127.0.0.1", **headers: str) -> Any:
        named = {"host": "127.0.0.1:8080"} | {name.replace("_", "-"): value for name, value in headers.items()}
        raw = [(name.encode(), value.encode("latin-1")) for name, value in named.items()]
        scope = {"type": kind, "method": method, "path": "/api/calls", "query_string": b"", "headers": raw}
        scope |= {"client": (peer, 4000), "server": ("127.0.0.1", 8080), "scheme": "http" if kind == "http" else "ws"}
        if kind == "websocket":
            del scope["method"]
            return WebSocket(scope, None, None)  # type: ignore[arg-type]
        return Request(scope)

    def cookie(self, role: Role = Role.ADMIN, name: str = "voxline-8080") -> str:
        return f"{name}={self.gate.sign_in.sessions.begin('somebody', role, self.now_s)}"

    def csrf(self, cookie: str, **headers: str) -> str:
        person = self.gate.person(self.request(cookie=cookie, **headers))
        assert person
        return person.csrf


@pytest.fixture
def entrance(tmp_path: Path) -> Entrance:
    return Entrance(tmp_path)


def status(answer: Person | Response) -> int:
    return answer.status_code if isinstance(answer, Response) else 200


async def test_the_token_of_programs_may_do_everything(entrance: Entrance) -> None:
    for method in ("GET", "POST", "DELETE"):
        request = entrance.request(method, authorization=entrance.bearer)
        assert entrance.gate.admit(request, Role.ADMIN) == PROGRAM


@pytest.mark.parametrize("headers", [{}, {"authorization": "Bearer wrong"}, {"cookie": "voxline-8080=wrong"}])
async def test_strangers_get_401(entrance: Entrance, headers: dict[str, str]) -> None:
    for role in Role:
        assert status(entrance.gate.admit(entrance.request(**headers), role)) == 401


@pytest.mark.parametrize("has", list(Role))
@pytest.mark.parametrize("needs", list(Role))
async def test_each_role_may_what_those_below_it_may(entrance: Entrance, has: Role, needs: Role) -> None:
    cookie = entrance.cookie(has)
    assert status(entrance.gate.admit(entrance.request(cookie=cookie), needs)) == (200 if has >= needs else 403)


async def test_what_changes_something_needs_the_pages_token(entrance: Entrance) -> None:
    cookie = entrance.cookie()
    csrf, other = entrance.csrf(cookie), entrance.csrf(entrance.cookie())
    for method in ("POST", "PUT", "PATCH", "DELETE"):
        for given, wanted in ((csrf, 200), (other, 403), ("", 403), ("\xe9", 403)):
            request = entrance.request(method, cookie=cookie, **{CSRF_HEADER.lower(): given})
            assert status(entrance.gate.admit(request, Role.VIEWER)) == wanted
    assert status(entrance.gate.admit(entrance.request("GET", cookie=cookie), Role.VIEWER)) == 200


async def test_a_websocket_of_a_session_comes_from_a_page(entrance: Entrance) -> None:
    """Whose it is, Access has seen."""
    cookie = entrance.cookie()
    without = entrance.request(kind="websocket", cookie=cookie)
    assert status(entrance.gate.admit(without, Role.OPERATOR)) == 403
    of_a_page = entrance.request(kind="websocket", cookie=cookie, origin="http://127.0.0.1:8080")
    assert status(entrance.gate.admit(of_a_page, Role.OPERATOR)) == 200
    program = entrance.request(kind="websocket", authorization=entrance.bearer)
    assert status(entrance.gate.admit(program, Role.OPERATOR)) == 200


@pytest.mark.parametrize("scope", list(Scope))
async def test_an_api_token_opens_what_its_scope_says(tmp_path: Path, entrance: Entrance, scope: Scope) -> None:
    """Whatever role that takes of people."""
    given = api_tokens.create(tmp_path, "crm", (scope,), None, 0)
    await entrance.tokens.look()
    for method in ("GET", "POST", "DELETE"):
        request = entrance.request(method, authorization=f"Bearer {given}")
        for other in Scope:
            assert status(entrance.gate.admit(request, Role.ADMIN, other)) == (200 if other is scope else 403)
            assert entrance.gate.opens(request, other) is (other is scope)
        assert status(entrance.gate.admit(request, Role.ADMIN, "any")) == 200
        assert status(entrance.gate.admit(request, Role.VIEWER)) == 403  # what names no scope is for people
        assert entrance.gate.person(request) is None


async def test_what_a_program_does_is_on_record_under_its_tokens_name(tmp_path: Path, entrance: Entrance) -> None:
    given = api_tokens.create(tmp_path, "crm", (Scope.CALLS_ACT,), None, 0)
    await entrance.tokens.look()
    who = entrance.gate.admit(entrance.request(authorization=f"Bearer {given}"), Role.OPERATOR, Scope.CALLS_ACT)
    assert isinstance(who, Person)
    assert who.name == "token crm"


async def test_a_revoked_token_ends_what_goes_on(tmp_path: Path, entrance: Entrance) -> None:
    given = api_tokens.create(tmp_path, "crm", (Scope.CALLS_READ,), None, 0)
    request = entrance.request(authorization=f"Bearer {given}")
    assert not entrance.gate.is_known(request)
    await entrance.tokens.look()
    assert entrance.gate.is_known(request)
    api_tokens.revoke(tmp_path, "crm")
    await entrance.tokens.look()
    assert not entrance.gate.is_known(request)
    assert status(entrance.gate.admit(request, Role.VIEWER, Scope.CALLS_READ)) == 401


@pytest.mark.parametrize("form", ["{}x", "{}\xe9", "x{}", " {}"])
async def test_what_is_nearly_a_token_is_none(tmp_path: Path, entrance: Entrance, form: str) -> None:
    given = api_tokens.create(tmp_path, "crm", (Scope.CALLS_READ,), None, 0)
    await entrance.tokens.look()
    for kind in ("Bearer", "bearer", "Basic"):
        request = entrance.request(authorization=f"{kind} {form.format(given)}")
        assert status(entrance.gate.admit(request, Role.VIEWER, Scope.CALLS_READ)) == 401


async def test_a_session_ends_in_time(entrance: Entrance) -> None:
    cookie = entrance.cookie()
    request = entrance.request(cookie=cookie)
    assert entrance.gate.is_known(request)
    entrance.now_s += 3601
    assert not entrance.gate.is_known(request)
    assert status(entrance.gate.admit(request, Role.VIEWER)) == 401


@pytest.mark.parametrize(
    ("settings", "headers", "peer", "why"),
    [
        ({}, {}, "127.0.0.1", ""),
        ({}, {"x_forwarded_for": "203.0.113.9"}, "127.0.0.1", NO_TLS),
        ({}, {"host": "voice.example.com"}, "127.0.0.1", NO_TLS),
        (PUBLIC, {}, "203.0.113.9", NO_TLS),
        (PUBLIC, {}, "127.0.0.1", NO_TLS),
        (PUBLIC, {"x_forwarded_proto": "https"}, "127.0.0.1", NO_TLS),
        (PROXY, {}, "203.0.113.9", PLAIN),
        (PROXY, {"x_forwarded_proto": "http"}, "127.0.0.1", PLAIN),
        (PROXY, {"x_forwarded_proto": "https"}, "10.0.0.1", ""),
        ({"console.tls_proxy": True}, {"x_forwarded_proto": "https", "host": "voice.example.com"}, "127.0.0.1", ""),
        ({"console.tls_proxy": True}, {}, "127.0.0.1", ""),
    ],
)
async def test_where_people_may_sign_in(
    tmp_path: Path, settings: dict[str, Any], headers: dict[str, str], peer: str, why: str
) -> None:
    entrance = Entrance(tmp_path, **settings)
    request = entrance.request(peer=peer, **headers)
    assert entrance.gate.closed(request) == why
    if why:  # nor is a session good there
        for name in ("voxline-8080", "__Host-voxline"):
            stolen = entrance.request(peer=peer, cookie=entrance.cookie(name=name), **headers)
            assert entrance.gate.person(stolen) is None


async def test_behind_a_proxy_the_address_is_what_it_has_added(tmp_path: Path, entrance: Entrance) -> None:
    forged = {"x_forwarded_for": "198.51.100.1, 203.0.113.9"}
    assert entrance.gate.address(entrance.request(**forged)) == "127.0.0.1"
    assert Entrance(tmp_path, **PROXY).gate.address(entrance.request(peer="10.0.0.1", **forged)) == "203.0.113.9"


async def test_cookies_are_kept_from_scripts_other_sites_and_other_servers(tmp_path: Path, entrance: Entrance) -> None:
    signed_in = entrance.gate.sign_in.by_link(entrance.gate.sign_in.link_token)
    assert signed_in
    response = Response()
    entrance.gate.begin(entrance.request(), signed_in, response)
    assert response.headers["set-cookie"] == f"voxline-8080={signed_in.key}; HttpOnly; Path=/; SameSite=strict"
    behind = Entrance(tmp_path, **PROXY)
    response = Response()
    behind.gate.begin(behind.request(peer="10.0.0.1", x_forwarded_proto="https"), signed_in, response)
    assert (
        response.headers["set-cookie"] == f"__Host-voxline={signed_in.key}; HttpOnly; Path=/; SameSite=strict; Secure"
    )
