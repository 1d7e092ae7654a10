"""The softphone's files: what is served, with which policy, to whose pages."""

import re
from collections.abc import AsyncGenerator
from pathlib import Path
from typing import Any

import httpx
import pytest
from starlette.applications import Starlette

from telephony.server.softphone.page import ASSETS, Softphone
from tests.telephony.console.served import Page
from tests.telephony.server.sign_in.test_gate import HTTPS, PROXY, Entrance

SHOP = "https://shop.example"


def browser(folder: Path, **settings: Any) -> tuple[httpx.AsyncClient, Entrance]:
    """One that is not signed in."""
    entrance = Entrance(folder, **settings)
    app = Starlette(routes=Softphone(entrance.settings, entrance.gate).routes())
    return httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1:8080"), entrance


@pytest.fixture
async def http(tmp_path: Path) -> AsyncGenerator[httpx.AsyncClient]:
    async with browser(tmp_path, **{"browser.origins": [SHOP]})[0] as client:
        yield client


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("", "text/html"),
        ("softphone.css", "text/css"),
        ("softphone.js", "text/javascript"),
        ("voxline.js", "text/javascript"),
        ("worker.js", "text/javascript"),
        ("worklet.js", "text/javascript"),
        ("icon.svg", "image/svg+xml"),
    ],
)
async def test_files_come_with_a_strict_policy(http: httpx.AsyncClient, path: str, kind: str) -> None:
    answer = await http.get(f"/browser/{path}")
    assert answer.status_code == 200
    assert answer.headers["content-type"].startswith(kind)
    policy = answer.headers["Content-Security-Policy"]
    assert policy.startswith("default-src 'none'; script-src 'self'; ")
    assert "unsafe" not in policy
    assert answer.headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize("path", ["/browser/page.py", "/browser/..%2Fpage.py", "/browser/x", "/browser/a/b"])
async def test_nothing_else_is_there(http: httpx.AsyncClient, path: str) -> None:
    assert (await http.get(path)).status_code == 404


async def test_the_path_without_its_slash_leads_there(http: httpx.AsyncClient) -> None:
    answer = await http.get("/browser")
    assert (answer.status_code, answer.headers["location"]) == (308, "/browser/")


async def test_listed_pages_may_load_the_modules(http: httpx.AsyncClient) -> None:
    answer = await http.get("/browser/voxline.js", headers={"Origin": SHOP})
    assert answer.headers["Access-Control-Allow-Origin"] == SHOP
    answer = await http.get("/browser/voxline.js", headers={"Origin": "https://evil.example"})
    assert "Access-Control-Allow-Origin" not in answer.headers
    assert answer.headers["Vary"] == "Origin"


async def test_the_page_has_the_token_of_whoever_is_signed_in_and_is_for_no_other_site(tmp_path: Path) -> None:
    http, entrance = browser(tmp_path, **PROXY, **{"browser.origins": [SHOP]})
    async with http:
        assert 'name="csrf"' not in (await http.get("/browser/", headers=HTTPS)).text
        cookie = entrance.cookie(name="__Host-voxline")
        answer = await http.get("/browser/", headers={**HTTPS, "Cookie": cookie, "Origin": SHOP})
    csrf = entrance.csrf(cookie, **HTTPS)
    assert ("meta", {"name": "csrf", "content": csrf}) in Page(answer.text).tags
    assert answer.headers["Cache-Control"] == "no-store"
    assert "Access-Control-Allow-Origin" not in answer.headers


@pytest.mark.parametrize(
    ("settings", "needed"),
    [
        ({"browser.enabled": False}, ["browser.enabled: true"]),
        ({**PROXY, "console.tls_proxy": False}, ["console.tls_proxy: true", "browser.origins"]),
    ],
)
async def test_where_it_is_off_the_page_says_what_turns_it_on(
    tmp_path: Path, settings: dict[str, Any], needed: list[str]
) -> None:
    async with browser(tmp_path, **settings)[0] as http:
        answer = await http.get("/browser/")
        assert answer.status_code == 404
        assert all(setting in Page(answer.text).text for setting in needed)
        assert "script" not in answer.text
        assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; ")
        assert (await http.get("/browser/softphone.css")).status_code == 200


def test_the_page_has_no_inline_script_or_style() -> None:
    page = (ASSETS / "index.html").read_text()
    assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=", page)


def test_no_script_makes_markup_of_text() -> None:
    for path in ASSETS.glob("*.js"):
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", path.read_text()), path
