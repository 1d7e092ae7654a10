"""Tokens for phones in web pages: who gets one, and for what."""

from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from telephony.lines.outbound_call import TOKEN_FILE
from telephony.server.sign_in.gate import CSRF_HEADER
from tests.simulated import quick
from tests.telephony.console.served import CSRF, Served, csrf, served

PUBLIC = "https://voice.example.com"
SHOP = "https://shop.example"
THROUGH: dict[str, Any] = {"base": PUBLIC, "x_forwarded_proto": "https", "x_forwarded_for": "203.0.113.9"}


@pytest.fixture(scope="module")
def open_server(serve: Callable[..., Any]) -> Any:
    """Without credentials, on loopback."""
    return serve(quick())


@pytest.fixture(scope="module")
def secured(serve: Callable[..., Any]) -> Any:
    settings = quick() | {"server.public_url": PUBLIC, "browser.origins": [SHOP]}
    return serve(settings, TWILIO_AUTH_TOKEN="secret-of-the-account")


def ask(server: Any, body: Any = None, **headers: str) -> httpx.Response:
    content = body if isinstance(body, bytes) else None
    return httpx.post(
        f"{server.url}/browser/token", content=content, json=None if content else body or {}, headers=headers
    )


def bearer(server: Any) -> dict[str, str]:
    return {"Authorization": f"Bearer {(server.data / TOKEN_FILE).read_text().strip()}"}


def test_the_own_page_gets_one_on_this_machine(open_server: Any) -> None:
    answer = ask(open_server, Origin=open_server.url)
    assert answer.status_code == 201
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.json().keys() == {"token", "expires_s", "media"}
    assert answer.json()["media"] == "/browser/media"


@pytest.mark.parametrize("origin", ["http://evil.example", "null", "http://127.0.0.1:1", "https://127.0.0.1"])
def test_a_foreign_page_gets_none(open_server: Any, origin: str) -> None:
    assert ask(open_server, Origin=origin).status_code in (401, 403)


def test_nor_does_the_own_page_through_a_proxy(open_server: Any) -> None:
    assert ask(open_server, Origin=open_server.url, **{"X-Forwarded-For": "192.0.2.1"}).status_code == 401


def test_without_an_origin_the_control_token_is_needed(open_server: Any) -> None:
    assert ask(open_server).status_code == 401
    assert ask(open_server, **bearer(open_server)).status_code == 201


@pytest.mark.parametrize("origin", [PUBLIC, SHOP])
def test_elsewhere_even_own_pages_need_it(secured: Any, origin: str) -> None:
    assert ask(secured, Origin=origin).status_code == 401
    assert ask(secured, **bearer(secured)).status_code == 201


@pytest.fixture
async def proxied(tmp_path: Path) -> AsyncIterator[Served]:
    """Behind a proxy with TLS."""
    secured = {"twilio__auth_token": "secret-of-the-account", "server__public_url": PUBLIC}
    async with served(tmp_path, **secured, server__host="0.0.0.0", console__tls_proxy=True) as one:
        yield one


async def test_behind_a_proxy_operators_who_are_signed_in_get_one_by_their_page(proxied: Served) -> None:
    async with proxied.signed_in("otto", **THROUGH) as browser:
        found = CSRF.search((await browser.get("/browser/")).text)
        assert found
        own = {"Origin": PUBLIC, CSRF_HEADER: found[1]}
        answer = await browser.post("/browser/token", json={}, headers=own)
        assert (answer.status_code, answer.json()["media"]) == (201, "/browser/media")
        without = await browser.post("/browser/token", json={}, headers={"Origin": PUBLIC})
        assert (without.status_code, CSRF_HEADER in without.json()["error"]) == (403, True)
        foreign = await browser.post("/browser/token", json={}, headers={**own, "Origin": SHOP})
        assert foreign.status_code == 403
        await browser.post("/console/sign-out", data={"csrf": found[1]})
        assert (await browser.post("/browser/token", json={}, headers=own)).status_code == 401


async def test_viewers_get_none(proxied: Served) -> None:
    async with proxied.signed_in("vera", **THROUGH) as browser:
        own = {"Origin": PUBLIC, CSRF_HEADER: await csrf(browser)}
        answer = await browser.post("/browser/token", json={}, headers=own)
        assert (answer.status_code, "the role operator" in answer.json()["error"]) == (403, True)


@pytest.mark.parametrize(
    ("body", "status", "error"),
    [
        ({"agent": "nobody"}, 404, "there is no agent 'nobody'"),
        ({"agent": 1}, 400, "Expected `str`"),
        ({"agents": ""}, 400, "unknown field"),
        ({"keys": "12x"}, 400, "is no key"),
        ({"keys": "1" * 33}, 400, "1 to 32 keys"),
        ({"agent": "\x1b[31m" + "x" * 80}, 404, "there is no agent '\\x1b[31m"),
        (b"{", 400, "truncated"),
        (b"\xff\xfe", 400, "malformed"),
        (b" " * 5000, 413, "longer than 4096 bytes"),
    ],
)
def test_a_bad_request_is_told_what_is_wrong(open_server: Any, body: Any, status: int, error: str) -> None:
    answer = ask(open_server, body, **bearer(open_server))
    assert answer.status_code == status, answer.text
    assert error in answer.json()["error"]


def test_where_pages_may_not_call_there_is_nothing(serve: Callable[..., Any]) -> None:
    off = serve(quick() | {"server.public_url": PUBLIC}, TWILIO_AUTH_TOKEN="secret-of-the-account")
    assert ask(off, **bearer(off)).status_code == 404
    assert httpx.get(f"{off.url}/browser/").status_code == 404
