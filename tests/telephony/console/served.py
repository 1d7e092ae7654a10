"""A server with its console in this process, and browsers that are signed in."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import httpx

from config.settings import from_sources, read_sources
from telephony.console import console
from telephony.server.app import App
from tests.simulated import quick
from tests.telephony.server.sign_in.users import PASSWORD, USERS

URL = "http://127.0.0.1:8080"
CSRF = re.compile(r'<meta name="csrf" content="([^"]+)">')


class Served:
    """The server, without its HTTP port."""

    def __init__(self, app: App, link: str) -> None:
        self.app = app
        self.link = link

    def browser(self, base: str = URL, peer: str = "127.0.0.1", **headers: str) -> httpx.AsyncClient:
        """One that is not signed in."""
        transport = httpx.ASGITransport(app=self.app.asgi, client=(peer, 40_000))
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return httpx.AsyncClient(transport=transport, base_url=base, headers=named)

    @asynccontextmanager
    async def signed_in(self, name: str = "", **more: Any) -> AsyncIterator[httpx.AsyncClient]:
        """One that is: by the link, or as a user."""
        async with self.browser(**more) as browser:
            if name:
                answer = await browser.post("/console/sign-in", data={"name": name, "password": PASSWORD})
            else:
                answer = await browser.get(self.link)
            assert (answer.status_code, answer.headers["location"]) == (303, "/console")
            yield browser


async def csrf(browser: httpx.AsyncClient) -> str:
    """The token in its pages."""
    found = CSRF.search((await browser.get("/console/live")).text)
    assert found
    return found[1]


@asynccontextmanager
async def served(data: Path, **changes: Any) -> AsyncIterator[Served]:
    """Underscores twice are dots."""
    wanted = {key.replace("__", "."): value for key, value in changes.items()}
    usual = {"server.data": str(data), "console.users": USERS}
    sources = read_sources(None, {**quick(), **usual, **wanted})
    settings = from_sources(sources)
    app = App(settings)
    console.mount(app, settings, sources)
    async with app.asgi.router.lifespan_context(app.asgi):
        yield Served(app, console.link(app, settings, URL))


class Page(HTMLParser):
    """What a browser makes of a page: its elements, and its text."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    @property
    def text(self) -> str:
        """All of it."""
        return "".join(self.texts)

    def hrefs(self) -> list[str]:
        """Where its links lead."""
        return [attrs["href"] or "" for tag, attrs in self.tags if tag == "a"]
