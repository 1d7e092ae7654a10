"""The console of one server: its pages, put together and mounted."""

import logging
from collections.abc import Sequence
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from config import private
from config.settings import Settings, is_loopback
from config.sources import SettingsSource
from telephony.console.agents_page import AgentsPage
from telephony.console.aside import Aside
from telephony.console.assets import Assets
from telephony.console.call_page import CallPage
from telephony.console.calls_page import CallsPage
from telephony.console.doctor_page import DoctorPage
from telephony.console.hooks_page import HooksPage
from telephony.console.overview import Overview
from telephony.console.pages import Pages
from telephony.console.settings_page import SettingsPage
from telephony.console.sign_in_page import SignInPage
from telephony.server.app import App
from telephony.server.sign_in.gate import NO_TLS
from telephony.server.sign_in.person import Person

LINK_FILE = "console-link"  # in server.data

logger = logging.getLogger("voxline.console")


class Console:
    """See above. `sources` are where the settings came from."""

    def __init__(self, app: App, settings: Settings, sources: Sequence[SettingsSource]) -> None:
        pages, aside, gate = Pages(app.gate, app.errands), Aside(app.errands), app.gate
        overview = Overview(pages, app, settings)
        self._pages = pages
        self._sign_in = SignInPage(pages, gate)
        self._overview = pages.page("/console", overview.page)
        calls = CallPage(pages, app, gate, aside, settings.server.data)
        self.routes: list[BaseRoute] = [
            *(Route(path, self._home, methods=["GET"]) for path in ("/console", "/console/")),
            pages.page("/console/live", self._live),
            pages.page("/console/calls", CallsPage(pages, app).page),
            *calls.routes(),
            *AgentsPage(pages, app, settings, aside).routes(),
            pages.page("/console/settings", SettingsPage(pages, settings, sources).page),
            *HooksPage(pages, app).routes(),
            *DoctorPage(pages, settings, aside).routes(),
            *self._sign_in.routes(),
            *Assets(gate).routes(),
        ]

    async def _home(self, request: Request) -> Response:
        if token := request.query_params.get("token"):
            return self._sign_in.by_link(request, token)
        answer: Response = await self._overview.endpoint(request)
        return answer

    async def _live(self, request: Request, person: Person) -> Response:
        return await self._pages.show(request, person, "live.html")


def mount(app: App, settings: Settings, sources: Sequence[SettingsSource]) -> None:
    """Serve the console, unless console.enabled is false."""
    if not settings.console.enabled:
        return
    app.add(Console(app, settings, sources).routes)
    if not is_loopback(settings.server.host) and not settings.console.tls_proxy:
        logger.warning(NO_TLS)


def link(app: App, settings: Settings, url: str) -> str:
    """The address of the console for whoever is at this machine: opening it signs them in. Empty where there is none:
    the server can be reached from elsewhere, or has no console."""
    local = settings.console.enabled and is_loopback(settings.server.host)
    return f"{url}/console?token={app.gate.sign_in.link_token}" if local else ""


def keep_link(folder: Path, text: str) -> None:
    """Write the link to a file that only the server's own user can read, for whoever does not see its terminal."""
    path = folder / LINK_FILE
    try:
        path.unlink(missing_ok=True)  # its mode would stay
        private.write_bytes(path, f"{text}\n".encode())
    except OSError as error:
        logger.warning("cannot write %s: %s", path, error.strerror)
