"""What hooks.after_call was told, over HTTP: GET /api/hooks/deliveries, POST /api/hooks/deliveries/ID/resend.

Who may is decided by the gate (sign_in/gate.py). Errors are JSON: {"error": "..."}.
"""

from typing import Annotated

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute

from telephony.records.call_records import CallRecords
from telephony.records.database import StoreError
from telephony.records.deliveries import call_of, delivery_id, shown
from telephony.records.outbox import MAX_PAGE, STATUSES, Status
from telephony.records.text import json_text
from telephony.server.openapi.operation import Operation
from telephony.server.sign_in.gate import Gate
from telephony.server.sign_in.person import Role
from telephony.server.sign_in.scope import Scope

USUAL_PAGE = 50
KEYS = ("status", "before", "limit")
OFF = "no calls are on record: records.mode is off, or server.data cannot be written"


class ShownDelivery(msgspec.Struct):
    """A delivery to hooks.after_call. Times are ISO 8601, UTC."""

    id: str
    call: str
    event: str
    status: Status
    attempts: int
    created: str | None
    tried: str | None
    due: str | None
    answer: int | None  # the receiver's HTTP status
    error: str


class DeliveriesPage(msgspec.Struct):
    """Deliveries, the latest calls first; `next` is null on the last page."""

    deliveries: list[ShownDelivery]
    next: str | None


class Resent(msgspec.Struct):
    """A delivery is sent again."""

    id: str
    status: Status


class DeliveriesQuery(msgspec.Struct):
    """The parameters of a list."""

    status: Annotated[str, msgspec.Meta(pattern=f"^({'|'.join(STATUSES)})?$", description="Of deliveries.")] = ""
    before: Annotated[str, msgspec.Meta(description="The last answer's `next`.")] = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=MAX_PAGE, description="Deliveries a page.")] = USUAL_PAGE


LIST = Operation(
    "GET",
    "/api/hooks/deliveries",
    "What hooks.after_call was told",
    Role.VIEWER,
    Scope.CALLS_READ,
    DeliveriesPage,
    query=DeliveriesQuery,
    errors=(400, 409, 503),
)
RESEND = Operation(
    "POST",
    "/api/hooks/deliveries/{id}/resend",
    "Send a delivery again",
    Role.ADMIN,
    Scope.HOOKS_RESEND,
    Resent,
    errors=(404, 409, 503),
    id="A delivery, or its call's id, 16 hex digits.",
)


class HooksApi:
    """The endpoints of one server."""

    def __init__(self, gate: Gate) -> None:
        self.calls: CallRecords | None = None  # once the server is up; None: records.mode is off
        self._gate = gate

    def routes(self) -> list[BaseRoute]:
        """Where they are."""
        return [
            LIST.route(self._list),
            RESEND.route(self._resend),
        ]

    async def _list(self, request: Request) -> Response:
        if isinstance(refusal := self._gate.admit(request, LIST.role, LIST.scope), Response):
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
        if isinstance(refusal := self._gate.admit(request, RESEND.role, RESEND.scope), Response):
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
