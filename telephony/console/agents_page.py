"""The agents as they are loaded, and on demand what `voxline check` says of their files as they are now."""

import logging
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

logger = logging.getLogger("voxline.console")


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
        return [
            self._pages.page(path, self._page),
            self._pages.form(path, self._check, Role.OPERATOR),
            self._pages.form(f"{path}/reload", self._reload, Role.ADMIN),
        ]

    async def _page(self, request: Request, person: Person) -> Response:
        usual = self._settings.call.agent
        editions = sorted(self._app.agents.editions, key=lambda edition: (edition.name != usual, edition.name))
        values = {
            "agents": [(edition, edition.agent, self._app.agents.calls(edition)) for edition in editions],
            "usual": usual,
            "checked": self._checked,
            "last": self._app.reading.last,
            "folder": self._settings.agents_folder,
        }
        return await self._pages.show(request, person, "agents.html", **values)

    async def _reload(self, _: Request, person: Person, __: Form) -> Response:
        logger.info("the agents are read anew", extra={"who": person.name})
        await self._app.reading.read()
        return RedirectResponse("/console/agents", 303)

    async def _check(self, _: Request, __: Person, ___: Form) -> Response:
        pronounce = needs_pronunciations(self._settings.engine)
        now_ms = round(1000 * time.time())
        try:
            files = await self._aside.run(look_at, self._settings.agents_folder, pronounce)
            self._checked = Checked(now_ms, files)
        except AsideError as error:
            self._checked = Checked(now_ms, error=str(error))
        return RedirectResponse("/console/agents", 303)
