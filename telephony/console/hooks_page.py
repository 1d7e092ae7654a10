"""What hooks.after_call was told, the latest first; what has failed can be sent again."""

from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from telephony.console.pages import Form, Pages
from telephony.records.database import StoreError
from telephony.records.deliveries import call_of
from telephony.records.outbox import STATUSES
from telephony.server.app import App
from telephony.server.sign_in.person import Person, Role

PAGE = 100  # deliveries


class HooksPage:
    """Of one server."""

    def __init__(self, pages: Pages, app: App) -> None:
        self._pages = pages
        self._app = app

    def routes(self) -> list[Route]:
        """Where it is."""
        path = "/console/hooks"
        return [self._pages.page(path, self._page), self._pages.form(f"{path}/resend", self._resend, Role.ADMIN)]

    async def _page(self, request: Request, person: Person) -> Response:
        status = request.query_params.get("status", "")
        before = call_of(request.query_params.get("before", ""))
        if self._app.shared.calls is None or status not in ("", *STATUSES):
            return await self._pages.message(
                request, person, 400, "No calls are on record, or there is no such status."
            )
        try:
            found = await self._app.shared.calls.deliveries(status, before, PAGE)
        except StoreError as error:
            return await self._pages.message(request, person, 503, f"The database of calls does not answer: {error}")
        values = {"deliveries": found[:PAGE], "more": len(found) > PAGE, "status": status, "statuses": STATUSES}
        return await self._pages.show(request, person, "hooks.html", **values)

    async def _resend(self, request: Request, person: Person, form: Form) -> Response:
        number = call_of(form.get("id", ""))
        try:
            if self._app.shared.calls is None or number is None or not await self._app.shared.calls.resend(number):
                return await self._pages.message(request, person, 404, "There is no such delivery, or its call is on.")
        except StoreError as error:
            return await self._pages.message(request, person, 503, f"The database of calls does not answer: {error}")
        return RedirectResponse("/console/hooks", 303)
