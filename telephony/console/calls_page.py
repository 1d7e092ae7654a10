"""The list of calls: search, filters, pages, export."""

from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import Response

from telephony.console.pages import Pages
from telephony.records import call_id
from telephony.records.call_filter import FilterError, parse
from telephony.records.call_record import DIRECTIONS, STATUSES
from telephony.records.database import StoreError
from telephony.server.app import App
from telephony.server.sign_in.person import Person

SHOWN = ("q", "agent", "direction", "status", "outcome", "since", "until", "min_latency_ms", "min_barge_ins")
OUTCOMES = ("hangup", "transfer", "failed", "busy", "declined", "unanswered", "cancelled")


class CallsPage:
    """Of one server."""

    def __init__(self, pages: Pages, app: App) -> None:
        self._pages = pages
        self._app = app

    async def page(self, request: Request, person: Person) -> Response:
        """See above."""
        given = {key: value for key, value in request.query_params.items() if value}
        wanted = {key: value for key, value in given.items() if key not in ("before", "limit")}
        page: dict[str, object] = {
            "given": {key: given.get(key, "") for key in SHOWN},
            "others": {key: value for key, value in wanted.items() if key not in SHOWN},
            "filtered": bool(wanted),
            "agents": sorted(self._app.agents),
            "directions": DIRECTIONS,
            "statuses": STATUSES,
            "outcomes": OUTCOMES,
            "export": {kind: f"/api/calls/export?{urlencode({**wanted, 'format': kind})}" for kind in ("csv", "json")},
            "first": f"/console/calls?{urlencode(wanted)}" if "before" in given else "",
            "next": "",
            "rows": [],
            "error": "",
        }
        status = 200
        try:
            filters = parse(given)
            if self._app.shared.calls is None:
                raise StoreError("no calls are on record: records.mode is off, or server.data cannot be written")
            rows = await self._app.shared.calls.find(filters)
            page["rows"] = rows[: filters.limit]
            if len(rows) > filters.limit:
                before = call_id.show(rows[filters.limit - 1]["id"])
                page["next"] = f"/console/calls?{urlencode({**given, 'before': before})}"
        except FilterError as error:
            page["error"], status = str(error), 400
        except StoreError as error:
            page["error"], status = str(error), 503 if self._app.shared.calls else 200
        return await self._pages.show(request, person, "calls.html", status, **page)
