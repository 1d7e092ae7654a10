"""One call, live or past: its record, transcript, tools and acts; its recording and tape; what can be done with it."""

from pathlib import Path
from typing import Any

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route

from telephony.console.aside import Aside, AsideError
from telephony.console.pages import Form, Pages, guarded
from telephony.console.words import duration, millis, percent
from telephony.recordings.removal import find_recording
from telephony.records import call_id
from telephony.records.call_filter import FilterError
from telephony.records.database import StoreError
from telephony.records.eraser import EraseError
from telephony.records.store import Row
from telephony.records.summary import LOSS, SLOW_MS
from telephony.report import bundle
from telephony.report.page import call_json
from telephony.server.api import name_of
from telephony.server.app import App
from telephony.server.sign_in.gate import Gate
from telephony.server.sign_in.person import Person, Role
from telephony.tapes.removal import find_tape

MAX_TAPE = 64_000_000  # bytes, compressed, of a tape that is drawn; longer ones are for `voxline report`
ERRORS = (FilterError, StoreError, EraseError)

Figure = tuple[str, str, bool]  # its name, its value, whether it is worth a look


class CallPage:
    """Of one server. `data` is its folder."""

    def __init__(self, pages: Pages, app: App, gate: Gate, aside: Aside, data: Path) -> None:
        self._pages = pages
        self._app = app
        self._gate = gate
        self._aside = aside
        self._data = data
        self._report = Markup(bundle.read("call.html"))  # noqa: S704 (a file of ours, without anything in it)

    def routes(self) -> list[Route]:
        """Where it is."""
        return [
            self._pages.page("/console/calls/{id}", self._page),
            Route("/console/calls/{id}/report", self._drawn, methods=["GET"]),
            self._pages.form("/console/calls/{id}/delete", self._delete, Role.ADMIN),
        ]

    async def _page(self, request: Request, person: Person) -> Response:
        live_call = self._app.shared.live.find(request.path_params["id"])
        rows: list[Row] = []
        try:
            rows = await self._rows(request)
        except ERRORS as error:
            if live_call is None:  # that it is on is known without the database
                status = 503 if isinstance(error, StoreError) else 400
                return await self._pages.message(request, person, status, str(error))
        if not rows and live_call:  # nor yet on record, at the very beginning
            known: dict[str, Any] = {"number": live_call.call.id, "name": live_call.call.line.call_id}
            return await self._pages.show(request, person, "call_off_record.html", **known)
        if not rows:
            return await self._pages.message(request, person, 404, "There is no such call, or it was deleted.")
        row = rows[0]
        tape, recording = await self._app.errands.run(self._kept, row)  # a slow disk keeps nobody else waiting
        live = row["status"] == "active"
        values = {
            "row": row,
            "number": call_id.show(row["id"]),
            "live": live,
            "facts": _facts(row),
            "figures": _figures(row),
            "turns": _numbered(row["transcript"]),
            "acts": row.get("acts", []),
            "tape": tape is not None,
            "recording": recording is not None,
            "report": self._report,
            "earlier": [(call_id.show(other["id"]), other["started"]) for other in rows[1:]],
        }
        return await self._pages.show(request, person, "call.html", **values)

    async def _drawn(self, request: Request) -> Response:
        """What the page of `voxline report` draws of the call's tape, as JSON."""
        if isinstance(refusal := self._gate.admit(request, Role.VIEWER), Response):
            return guarded(refusal)
        try:
            rows = await self._rows(request)
        except ERRORS as error:
            return guarded(self._gate.refused(request, 503 if isinstance(error, StoreError) else 400, "%s", error))
        path, size = await self._app.errands.run(self._tape, rows[0]["tape"] if rows else "")
        if path is None:
            return guarded(self._gate.refused(request, 404, "there is no such call, or no finished tape of it here"))
        if size > MAX_TAPE:
            return guarded(self._gate.refused(request, 413, "its tape is too long to be drawn here: download it"))
        try:
            drawn = await self._aside.run(call_json, path)
        except AsideError as error:
            return guarded(self._gate.refused(request, 503, "its tape cannot be drawn: %s", error))
        return guarded(Response(drawn, media_type="application/json"))

    def _kept(self, row: Row) -> tuple[Path | None, Path | None]:
        """Its finished tape and recording, where there are some."""
        return find_tape(self._data / "tapes", row["tape"]), find_recording(self._data / "recordings", row["recording"])

    def _tape(self, name: str) -> tuple[Path | None, int]:
        """A finished tape and its size."""
        path = find_tape(self._data / "tapes", name)
        try:
            return path, path.stat().st_size if path else 0
        except OSError:
            return None, 0

    async def _delete(self, request: Request, person: Person, _: Form) -> Response:
        try:
            if self._app.shared.calls is None or not await self._app.shared.calls.delete(name_of(request)):
                return await self._pages.message(request, person, 404, "There is no such call.")
        except ERRORS as error:
            return await self._pages.message(request, person, 409, f"It is not deleted: {error}.")
        return RedirectResponse("/console/calls", 303)

    async def _rows(self, request: Request) -> list[Row]:
        if self._app.shared.calls is None:
            raise EraseError("no calls are on record: records.mode is off, or server.data cannot be written")
        return await self._app.shared.calls.get(name_of(request))


def _facts(row: Row) -> list[tuple[str, str]]:
    """What is known of the call beyond figures; what is empty is left out."""
    facts = [
        ("Caller", f"{row['caller_name']} {row['caller']}".strip()),
        ("Called", row["called"]),
        ("Forwarded from", row["forwarded_from"]),
        ("Agent", row["agent"]),
        ("Line", " ".join(filter(None, (row["line"], row["trunk"], row["direction"])))),
        ("Id in the log", row["call"]),
        ("The carrier’s id", row["carrier_id"] if row["carrier_id"] != row["call"] else ""),
        ("Transferred to", row["transfer"]),
        ("Cost", _cost(row)),
    ]
    return [(name, value) for name, value in facts if value]


def _figures(row: Row) -> list[Figure]:
    end_ms = row["ended"] or (row["updated"] if row["status"] != "active" else None)
    length_ms = end_ms - (row["answered"] or row["started"]) if end_ms else None
    slowest = row["latency_max"]
    return [
        ("Length", duration(length_ms), False),
        ("Turns", str(row["turns"]), False),
        ("Interruptions", str(row["barge_ins"]), False),
        ("Went on after a pause", str(row["resumes"]), False),
        ("Median answer", millis(row["latency_p50"]), False),
        ("Slowest answer", millis(slowest), slowest is not None and slowest > SLOW_MS),
        ("Failed replies", str(row["replies_failed"]), row["replies_failed"] > 0),
        (
            "Audio lost",
            f"{millis(row['gap_ms'])}, {percent(row['loss'])}" if row["gap_ms"] else "0",
            row["loss"] >= LOSS,
        ),
        ("Ran dry", str(row["underruns"]), row["underruns"] > 0),
    ]


def _cost(row: Row) -> str:
    if row["cost_micros"] is None:
        return ""
    return f"{row['cost_micros'] / 1e6:.4f} {row['cost_currency'] or ''}".strip()


def _numbered(transcript: list[dict[str, Any]]) -> list[tuple[int | None, dict[str, Any]]]:
    """Each turn, the caller's with their number, from 1."""
    count = 0
    numbered: list[tuple[int | None, dict[str, Any]]] = []
    for turn in transcript:
        count += turn["role"] == "caller"
        numbered.append((count if turn["role"] == "caller" else None, turn))
    return numbered
