"""The agents as they are loaded, and on demand what `voxline check` says of their files as they are now."""

import time

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from agent.dialogue_check.finding import Finding
from config.settings import Settings
from telephony.console.agent_files import look_at
from telephony.console.aside import Aside, AsideError
from telephony.console.pages import Form, Pages
from telephony.doctor.engine import needs_pronunciations
from telephony.server.app import App
from telephony.server.sign_in.person import Person, Role


class Checked(msgspec.Struct, frozen=True):
    """What was found in the files, by their names, or why nothing was looked at."""

    at_ms: int
    files: dict[str, list[Finding]] = {}
    error: str = ""


class AgentsPage:
    """Of one server."""

    def __init__(self, pages: Pages, app: App, settings: Settings, aside: Aside) -> None:
        self._pages = pages
        self._app = app
        self._settings = settings
        self._aside = aside
        self._checked: Checked | None = None

    def routes(self) -> list[Route]:
        """Where it is."""
        path = "/console/agents"
        return [self._pages.page(path, self._page), self._pages.form(path, self._check, Role.OPERATOR)]

    async def _page(self, request: Request, person: Person) -> Response:
        usual = self._settings.call.agent
        agents = sorted(self._app.agents.values(), key=lambda agent: (agent.name != usual, agent.name))
        values = {"agents": agents, "usual": usual, "checked": self._checked, "folder": self._settings.agents_folder}
        return await self._pages.show(request, person, "agents.html", **values)

    async def _check(self, _: Request, __: Person, ___: Form) -> Response:
        pronounce = needs_pronunciations(self._settings.engine)
        now_ms = round(1000 * time.time())
        try:
            files = await self._aside.run(look_at, self._settings.agents_folder, pronounce)
            self._checked = Checked(now_ms, files)
        except AsideError as error:
            self._checked = Checked(now_ms, error=str(error))
        return RedirectResponse("/console/agents", 303)
