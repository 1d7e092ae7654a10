"""The console as a whole: nobody sees it without having signed in, and every answer carries its headers."""

import re
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.routing import Route, WebSocketRoute

from telephony.console.assets import OPEN
from telephony.console.console import LINK_FILE, keep_link
from telephony.console.pages import HEADERS
from telephony.server.sign_in.gate import NO_TLS, PLAIN
from telephony.server.sign_in.throttle import FREE
from tests.telephony.console.served import Page, Served, csrf, served
from tests.telephony.server.sign_in.users import PASSWORD

# What others than people ask for, each with proof of its own.
OTHERS = ("/twilio/", "/browser", "/healthz", "/readyz", "/metrics", "/{path:path}")
PUBLIC = {
    "server__host": "0.0.0.0",
    "twilio__auth_token": "x" * 32,
    "server__public_url": "https://voice.example.com",
}
SITE = {"base": "https://voice.example.com", "peer": "203.0.113.9", "x_forwarded_proto": "https"}


@pytest.fixture
async def console(tmp_path: Path) -> AsyncIterator[Served]:
    async with served(tmp_path) as one:
        yield one


def requests(one: Served) -> Iterator[tuple[str, str]]:
    """Each method and path of people's and programs'."""
    for route in one.app.asgi.routes:
        if isinstance(route, Route) and not route.path.startswith(OTHERS):
            for method in sorted((route.methods or set()) - {"HEAD"}):
                yield method, re.sub(r"\{\w+\}", "x", route.path)


async def test_without_a_session_every_route_refuses_or_leads_to_signing_in(console: Served) -> None:
    seen = list(requests(console))
    assert len(seen) > 25
    assert {"/console", "/console/calls/x", "/api/live", "/api/calls/x/say"} <= {path for _, path in seen}
    async with console.browser(cookie="voxline-8080=made-up") as browser:
        for method, path in seen:
            answer = await browser.request(method, path)
            if path == "/console/sign-in":
                assert answer.status_code in (200, 401)
            elif answer.status_code == 303:
                assert path.startswith("/console")
                assert answer.headers["location"] == f"/console/sign-in?next={path}"
            else:
                assert answer.status_code in (401, 403), (method, path)


async def test_every_socket_refuses_strangers(console: Served) -> None:
    paths = [route.path for route in console.app.asgi.routes if isinstance(route, WebSocketRoute)]
    assert "/api/calls/{id}/audio" in paths  # tests/telephony/server/test_live_api.py opens it without a token


async def test_every_answer_of_the_console_has_its_headers(console: Served) -> None:
    assert "unsafe" not in HEADERS["Content-Security-Policy"]
    for entered in (console.browser(), console.signed_in()):
        async with entered as browser:
            for method, path in requests(console):
                if not path.startswith("/console"):
                    continue
                answer = await browser.request(method, path)
                expected = {**HEADERS, "Cache-Control": answer.headers["cache-control"]}
                assert expected.items() <= {name: answer.headers.get(name) for name in expected}.items()
                assert answer.headers["cache-control"] == "no-store"


async def test_no_page_has_a_script_or_a_style_of_its_own(console: Served) -> None:
    async with console.signed_in() as browser:
        for path in ("", "/live", "/calls", "/agents", "/settings", "/doctor", "/sign-in", "/calls/none"):
            page = Page((await browser.get(f"/console{path}")).text)
            for tag, attrs in page.tags:
                assert tag != "style"
                assert tag != "script" or set(attrs) == {"type", "src"}
                assert not [name for name in attrs if name.startswith("on") or name == "style"]


async def test_the_link_signs_in_and_is_gone_from_the_address(console: Served) -> None:
    async with console.browser() as browser:
        answer = await browser.get(console.link)
        assert (answer.status_code, answer.headers["location"]) == (303, "/console")
        page = await browser.get("/console")
        assert page.status_code == 200
        assert console.app.gate.sign_in.link_token not in page.text


async def test_a_wrong_link_says_so(console: Served) -> None:
    async with console.browser() as browser:
        answer = await browser.get("/console?token=wrong")
        assert answer.headers["location"] == "/console/sign-in?link=old"
        assert "This link is not valid" in (await browser.get(answer.headers["location"])).text
        assert (await browser.get("/console")).status_code == 303


async def test_the_link_is_good_on_this_machine_only(tmp_path: Path) -> None:
    async with served(tmp_path, **PUBLIC, console__tls_proxy=True) as one:
        assert one.link == ""
        async with one.browser(**SITE) as browser:
            answer = await browser.get(f"/console?token={one.app.gate.sign_in.link_token}")
            assert answer.headers["location"] == "/console/sign-in?link=old"
            assert "set-cookie" not in answer.headers


async def test_a_user_signs_in_comes_back_to_the_page_and_signs_out(console: Served) -> None:
    async with console.browser() as browser:
        first = await browser.get("/console/calls?q=tuesday&status=ended")
        page = Page((await browser.get(first.headers["location"])).text)
        [after] = [attrs["value"] for tag, attrs in page.tags if tag == "input" and attrs["name"] == "next"]
        form = {"name": "vera", "password": PASSWORD, "next": after}
        answer = await browser.post("/console/sign-in", data=form)
        assert answer.headers["location"] == "/console/calls?q=tuesday&status=ended"
        assert (await browser.get(answer.headers["location"])).status_code == 200
        refused = await browser.post("/console/sign-out", data={"csrf": "x"})
        assert refused.status_code == 403
        token = await csrf(browser)
        cookie = dict(browser.cookies)
        answer = await browser.post("/console/sign-out", data={"csrf": token})
        assert answer.headers["location"] == "/console/sign-in"
        async with console.browser() as other:
            other.cookies.update(cookie)  # whoever kept a copy
            assert (await other.get("/console")).status_code == 303


@pytest.mark.parametrize(
    "after",
    [
        "https://evil.example/",
        "//evil.example",
        "/console/../x\\",
        "/consolex",
        "/api/calls",
        "javascript:alert(1)",
        "",
    ],
)
async def test_signing_in_leads_nowhere_else(console: Served, after: str) -> None:
    async with console.browser() as browser:
        answer = await browser.post("/console/sign-in", data={"name": "vera", "password": PASSWORD, "next": after})
        assert answer.headers["location"] == "/console"


async def test_a_wrong_password_is_refused_and_guesses_must_wait(console: Served) -> None:
    console.app.gate.sign_in._clock = lambda: 1000.0  # it stands still
    async with console.browser() as browser:
        for _ in range(FREE):
            answer = await browser.post("/console/sign-in", data={"name": "vera", "password": "wrong"})
            assert answer.status_code == 401
            assert "Name or password is wrong." in answer.text
            assert "set-cookie" not in answer.headers
        answer = await browser.post("/console/sign-in", data={"name": "vera", "password": PASSWORD})
        assert answer.status_code == 429
        assert int(answer.headers["retry-after"]) >= 1


@pytest.mark.parametrize("body", [b"\x00", b"name=vera&" * 40, b"x" * 20_000, b"name=\xff"])
async def test_a_form_that_is_none_is_refused(console: Served, body: bytes) -> None:
    async with console.browser() as browser:
        assert (await browser.post("/console/sign-in", content=body)).status_code == 400


async def test_on_a_public_address_without_tls_it_says_why_not(tmp_path: Path, caplog: Any) -> None:
    async with served(tmp_path, **PUBLIC) as one:
        assert NO_TLS in caplog.text
        for more in (SITE, {"peer": "203.0.113.9", "base": "http://198.51.100.7:8080"}):
            async with one.browser(**more) as browser:
                for method, path in requests(one):
                    if path.startswith("/console") and not path.startswith("/console/assets"):
                        answer = await browser.request(method, path)
                        assert answer.status_code in (401, 403)
                answer = await browser.get("/console")
                assert answer.text == NO_TLS + "\n"
                assert answer.headers["content-type"].startswith("text/plain")


async def test_behind_a_proxy_with_tls_users_sign_in(tmp_path: Path) -> None:
    async with served(tmp_path, **PUBLIC, console__tls_proxy=True) as one:
        async with one.browser(base="http://voice.example.com", peer="203.0.113.9") as plain:
            assert (await plain.get("/console")).text == PLAIN + "\n"
        async with one.signed_in("otto", **SITE) as browser:
            assert (await browser.get("/console")).status_code == 200
            assert {cookie.name for cookie in browser.cookies.jar} == {"__Host-voxline", "__Host-voxline-device"}
            assert all(cookie.secure for cookie in browser.cookies.jar)


async def test_switched_off_there_is_none(tmp_path: Path) -> None:
    async with served(tmp_path, console__enabled=False) as one, one.browser() as browser:
        assert one.link == ""
        assert (await browser.get("/console")).status_code == 404
        assert (await browser.get("/console/sign-in")).status_code == 404


@pytest.mark.parametrize(
    ("name", "allowed"), [("vera", set()), ("otto", {"/console/agents", "/console/doctor"}), ("ada", {"delete"})]
)
async def test_roles(console: Served, name: str, allowed: set[str]) -> None:
    async with console.signed_in(name) as browser:
        token = await csrf(browser)
        header = {"X-CSRF-Token": token}
        if name == "vera":
            for path in ("/console/agents", "/console/doctor", "/console/calls/x/delete"):
                assert (await browser.post(path, data={"csrf": token})).status_code == 403
        for method, path in (("DELETE", "/api/calls/x"), ("POST", "/api/calls/x/hangup")):
            answer = await browser.request(method, path, headers=header)
            may = name == "ada" or (name == "otto" and method == "POST")
            assert answer.status_code == (404 if may else 403)
            assert (await browser.request(method, path)).status_code == 403  # without the page's token
        assert (await browser.get("/api/calls")).status_code == 200
        shown = (await browser.get("/console/doctor")).text
        assert ("Examine this server" in shown) is (name != "vera")


async def test_another_sites_page_reaches_nothing(console: Served) -> None:
    async with console.signed_in() as browser:
        token = await csrf(browser)
        for origin, site, wanted in (
            ("https://evil.example", "cross-site", 403),
            ("null", "cross-site", 403),
            ("null", "same-site", 403),
            ("null", "same-origin", 303),
            ("http://127.0.0.1:8080", "same-origin", 303),
        ):
            headers = {"Origin": origin, "Sec-Fetch-Site": site}
            answer = await browser.post(
                "/console/sign-in", data={"name": "vera", "password": PASSWORD}, headers=headers
            )
            assert answer.status_code == wanted
        own = {"Origin": "null", "Sec-Fetch-Site": "same-origin", "X-CSRF-Token": token}
        assert (await browser.delete("/api/calls/x", headers=own)).status_code == 403  # that is no form


async def test_files_that_say_nothing_are_for_everybody_and_the_others_not(console: Served) -> None:
    async with console.browser() as stranger, console.signed_in() as browser:
        for name in (*OPEN, "live.js", "main.js", "audio_worklet.js"):
            answer = await browser.get(f"/console/assets/{name}")
            assert answer.status_code == 200
            assert answer.headers["cache-control"] == "no-cache"
            again = await browser.get(f"/console/assets/{name}", headers={"If-None-Match": answer.headers["etag"]})
            assert (again.status_code, again.content) == (304, b"")
            assert (await stranger.get(f"/console/assets/{name}")).status_code == (200 if name in OPEN else 401)
        for name in ("standalone.js", "..%2fconsole.py", "nothing"):
            assert (await browser.get(f"/console/assets/{name}")).status_code == 404


async def test_the_theme_is_the_readers_choice_and_nothing_else(console: Served) -> None:
    async with console.signed_in() as browser:
        for value, wanted in (("dark", "dark"), ("light", "light"), ('"><script>', None), ("", None)):
            headers = {"Cookie": f"voxline-theme={value}; " + _cookies(browser)}
            page = Page((await browser.get("/console/live", headers=headers)).text)
            assert dict(page.tags)["html"].get("data-theme") == wanted


def _cookies(browser: httpx.AsyncClient) -> str:
    return "; ".join(f"{name}={value}" for name, value in browser.cookies.items())


def test_the_link_is_kept_for_the_owner_alone(tmp_path: Path) -> None:
    path = tmp_path / LINK_FILE
    path.write_text("old")
    path.chmod(0o644)
    keep_link(tmp_path, "http://127.0.0.1:8080/console?token=x")
    assert path.read_text() == "http://127.0.0.1:8080/console?token=x\n"
    assert path.stat().st_mode & 0o777 == 0o600
    keep_link(tmp_path / LINK_FILE, "cannot be written")  # only said in the log
