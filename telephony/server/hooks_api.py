"""What hooks.after_call was told, over HTTP: GET /api/hooks/deliveries, POST /api/hooks/deliveries/ID/resend.

Who may is decided by the gate (sign_in/gate.py). Errors are JSON: {"error": "..."}.
"""

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from telephony.records.call_records import CallRecords
from telephony.records.database import StoreError
from telephony.records.deliveries import call_of, delivery_id, shown
from telephony.records.outbox import MAX_PAGE, STATUSES
from telephony.records.text import json_text
from telephony.server.sign_in.gate import Gate
from telephony.server.sign_in.person import Role

USUAL_PAGE = 50
KEYS = ("status", "before", "limit")
OFF = "no calls are on record: records.mode is off, or server.data cannot be written"


class HooksApi:
    """The endpoints of one server."""

    def __init__(self, gate: Gate) -> None:
        self.calls: CallRecords | None = None  # once the server is up; None: records.mode is off
        self._gate = gate

    def routes(self) -> list[Route]:
        """Where they are."""
        return [
            Route("/api/hooks/deliveries", self._list, methods=["GET"]),
            Route("/api/hooks/deliveries/{id}/resend", self._resend, methods=["POST"]),
        ]

    async def _list(self, request: Request) -> Response:
        if isinstance(refusal := self._gate.admit(request, Role.VIEWER), Response):
            return refusal
        try:
            status, before, limit = _query(request)
        except ValueError as error:
            return self._gate.refused(request, 400, "%s", error)
        if self.calls is None:
            return self._gate.refused(request, 409, OFF)
        try:
            found = await self.calls.deliveries(status, before, limit)
        except StoreError as error:
            return self._gate.refused(request, 503, "%s", error)
        page = found[:limit]
        after = delivery_id(page[-1].id) if len(found) > limit else None
        return _json({"deliveries": [shown(each) for each in page], "next": after})

    async def _resend(self, request: Request) -> Response:
        if isinstance(refusal := self._gate.admit(request, Role.ADMIN), Response):
            return refusal
        if self.calls is None:
            return self._gate.refused(request, 409, OFF)
        number = call_of(request.path_params["id"])
        try:
            if number is None or not await self.calls.resend(number):
                return self._gate.refused(request, 404, "there is no such delivery, or its call is on")
        except StoreError as error:
            return self._gate.refused(request, 503, "%s", error)
        return _json({"id": delivery_id(number), "status": "pending"})


def _query(request: Request) -> tuple[str, int | None, int]:
    """Status, the call before which the page ends, and its length. Raises ValueError."""
    given = dict(request.query_params)
    if unknown := sorted(given.keys() - set(KEYS)):
        raise ValueError(f"there is no {unknown[0][:40]!r}; there are {', '.join(KEYS)}")
    status, before, limit = (given.get(key, "") for key in KEYS)
    if status and status not in STATUSES:
        raise ValueError(f"status: one of {', '.join(STATUSES)} is wanted")
    number = call_of(before) if before else None
    if before and number is None:
        raise ValueError("before: the id of a delivery is wanted")
    if limit and not (limit.isascii() and limit.isdecimal() and len(limit) < 5 and 1 <= int(limit) <= MAX_PAGE):
        raise ValueError(f"limit: a number from 1 to {MAX_PAGE} is wanted")
    return status, number, int(limit or USUAL_PAGE)


def _json(value: object) -> Response:
    return Response(json_text(value), media_type="application/json")
