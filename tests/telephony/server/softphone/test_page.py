"""The softphone's files: what is served, with which policy, to whose pages."""

import re
from collections.abc import AsyncGenerator

import httpx
import pytest
from starlette.applications import Starlette

from telephony.server.softphone.page import ASSETS, Softphone

SHOP = "https://shop.example"


@pytest.fixture
async def http() -> AsyncGenerator[httpx.AsyncClient]:
    app = Starlette(routes=Softphone((SHOP,)).routes())
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
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


def test_the_page_has_no_inline_script_or_style() -> None:
    page = (ASSETS / "index.html").read_text()
    assert not re.search(r"<script(?![^>]*src=)|<style|\sstyle=|\son\w+=", page)


def test_no_script_makes_markup_of_text() -> None:
    for path in ASSETS.glob("*.js"):
        assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(", path.read_text()), path
