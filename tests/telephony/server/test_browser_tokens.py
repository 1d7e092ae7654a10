"""Tokens for phones in web pages: who gets one, and for what."""

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from telephony.lines.outbound_call import TOKEN_FILE
from tests.simulated import quick

PUBLIC = "https://voice.example.com"
SHOP = "https://shop.example"


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
