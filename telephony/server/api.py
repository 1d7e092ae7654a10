"""Calls on record over HTTP, under /api/calls: list, export, show, delete.

Who may is decided by the gate (sign_in/gate.py). Errors are JSON: {"error": "..."}.
"""

from collections.abc import AsyncGenerator
from typing import Any

from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import BaseRoute

from telephony.records import call_id
from telephony.records.call_filter import CallFilter, FilterError, parse
from telephony.records.call_records import CallRecords
from telephony.records.database import StoreError
from telephony.records.eraser import EraseError
from telephony.records.export import FORMATS, export, shown
from telephony.records.text import clean, json_text
from telephony.server.call_shapes import Call, CallList, CallsPage, CallsQuery, Deleted, ExportQuery
from telephony.server.openapi.operation import Operation
from telephony.server.sign_in.gate import Gate
from telephony.server.sign_in.person import Role
from telephony.server.sign_in.scope import Scope

MAX_ID = 128  # characters of a call's id in the log
MEDIA_TYPES = {"csv": "text/csv; charset=utf-8", "json": "application/json"}

_READ = (Role.VIEWER, Scope.CALLS_READ)
LIST = Operation(
    "GET", "/api/calls", "Search the calls on record", *_READ, CallsPage, query=CallsQuery, errors=(400, 409, 503)
)
EXPORT = Operation(
    "GET",
    "/api/calls/export",
    "All calls that meet a filter, as a file",
    *_READ,
    CallList,
    media=(MEDIA_TYPES["json"], MEDIA_TYPES["csv"]),
    query=ExportQuery,
    errors=(400, 409, 503),
)
SHOW = Operation("GET", "/api/calls/{id}", "One call with everything", *_READ, Call, errors=(400, 404, 409, 503))
DELETE = Operation(
    "DELETE",
    "/api/calls/{id}",
    "Delete a call, its tape, recording and words",
    Role.ADMIN,
    Scope.CALLS_DELETE,
    Deleted,
    errors=(400, 404, 409, 503),
)


class CallsApi:
    """The endpoints of one server."""

    def __init__(self, gate: Gate) -> None:
        self.calls: CallRecords | None = None  # once the server is up; None: records.mode is off
        self._gate = gate

    def routes(self) -> list[BaseRoute]:
        """Where they are."""
        return [
            LIST.route(self._list),
            EXPORT.route(self._export),
            SHOW.route(self._show),
            DELETE.route(self._delete),
        ]

    async def _list(self, request: Request) -> Response:
        if isinstance(refusal := self._gate.admit(request, LIST.role, LIST.scope), Response):
            return refusal
        try:
            wanted = self._filter(request)
            rows = await self.known().find(wanted)
        except _ERRORS as error:
            return self.failed(request, error)
        page, more = rows[: wanted.limit], len(rows) > wanted.limit
        after = call_id.show(page[-1]["id"]) if more else None
        return _json({"calls": [shown(row) for row in page], "next": after})

    async def _export(self, request: Request) -> Response:
        if isinstance(refusal := self._gate.admit(request, EXPORT.role, EXPORT.scope), Response):
            return refusal
        kind = request.query_params.get("format") or "json"
        try:
            if kind not in FORMATS:
                raise FilterError(f"format: {' or '.join(FORMATS)} is wanted")
            text = export(self.known().page, self._filter(request, "format"), kind)
            first = await anext(text) + await anext(text)  # what fails at once is an answer of its own
        except _ERRORS as error:
            return self.failed(request, error)
        headers = {"Content-Disposition": f'attachment; filename="calls.{kind}"'}
        return StreamingResponse(_joined(first, text), headers=headers, media_type=MEDIA_TYPES[kind])

    async def _show(self, request: Request) -> Response:
        if isinstance(refusal := self._gate.admit(request, SHOW.role, SHOW.scope), Response):
            return refusal
        try:
            rows = await self.known().get(name_of(request))
        except _ERRORS as error:
            return self.failed(request, error)
        if not rows:
            return self._gate.refused(request, 404, "there is no such call")
        return _json(shown(rows[0]))

    async def _delete(self, request: Request) -> Response:
        if isinstance(refusal := self._gate.admit(request, DELETE.role, DELETE.scope), Response):
            return refusal
        try:
            count = await self.known().delete(name_of(request))
        except _ERRORS as error:
            return self.failed(request, error)
        return _json({"deleted": count}) if count else self._gate.refused(request, 404, "there is no such call")

    def known(self) -> CallRecords:
        """The calls on record. Raises EraseError if there are none."""
        if self.calls is None:
            raise EraseError("no calls are on record: records.mode is off, or server.data cannot be written")
        return self.calls

    def _filter(self, request: Request, *others: str) -> CallFilter:
        given = request.query_params.multi_items()
        if twice := {key for key, _ in given if sum(key == other for other, _ in given) > 1}:
            raise FilterError(f"{clean(min(twice))[:40]!r} stands twice")
        return parse({key: value for key, value in given if key not in others})

    def failed(self, request: Request, error: Exception) -> Response:
        """The answer when something cannot be had."""
        match error:
            case FilterError():
                return self._gate.refused(request, 400, "%s", error)
            case EraseError():
                return self._gate.refused(request, 409, "%s", error)
            case _:
                return self._gate.refused(request, 503, "%s", error)


_ERRORS = (FilterError, EraseError, StoreError)


def name_of(request: Request) -> int | str:
    """The id in the path, or the one in the log. Raises FilterError."""
    text = request.path_params["id"]
    if not 0 < len(text) <= MAX_ID or not text.isprintable():
        raise FilterError(f"the id of a call is wanted: 16 hex digits, or up to {MAX_ID} characters as in the log")
    number = call_id.parse(text)
    return text if number is None else number


async def _joined(first: str, rest: AsyncGenerator[str, None]) -> AsyncGenerator[str, None]:
    yield first
    async for text in rest:
        yield text


def _json(value: Any) -> Response:
    return Response(json_text(value), media_type="application/json")
