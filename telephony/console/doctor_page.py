"""The doctor's findings, made on demand."""

import time
from functools import partial

import msgspec
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from config.settings import Settings
from telephony.console.aside import Aside, AsideError
from telephony.console.pages import Form, Pages
from telephony.doctor import diagnose
from telephony.doctor.finding import Finding
from telephony.server.sign_in.person import Person, Role

_examine = partial(diagnose, running=True)


class Diagnosis(msgspec.Struct, frozen=True):
    """What was found and when, or why nothing was."""

    at_ms: int
    findings: list[Finding] = []
    error: str = ""


class DoctorPage:
    """Of one server."""

    def __init__(self, pages: Pages, settings: Settings, aside: Aside) -> None:
        self._pages = pages
        self._settings = settings
        self._aside = aside
        self._diagnosis: Diagnosis | None = None

    def routes(self) -> list[Route]:
        """Where it is."""
        path = "/console/doctor"
        return [self._pages.page(path, self._page), self._pages.form(path, self._run, Role.OPERATOR)]

    async def _page(self, request: Request, person: Person) -> Response:
        areas: dict[str, list[Finding]] = {}
        for finding in self._diagnosis.findings if self._diagnosis else ():
            areas.setdefault(finding.area, []).append(finding)
        return await self._pages.show(request, person, "doctor.html", diagnosis=self._diagnosis, areas=areas)

    async def _run(self, _: Request, __: Person, ___: Form) -> Response:
        now_ms = round(1000 * time.time())
        try:
            self._diagnosis = Diagnosis(now_ms, await self._aside.run(_examine, self._settings))
        except AsideError as error:
            self._diagnosis = Diagnosis(now_ms, error=str(error))
        return RedirectResponse("/console/doctor", 303)
