"""Calls as CSV or JSON: rows as text, piece by piece."""

import csv
import io
from collections.abc import AsyncGenerator, Awaitable, Callable
from datetime import UTC, datetime
from typing import Any

import msgspec

from telephony.records import call_id
from telephony.records.call_filter import MAX_PAGE, CallFilter
from telephony.records.call_record import COSTS, FIELDS, TEXTS
from telephony.records.store import Row
from telephony.records.text import cell, json_text

FORMATS = ("csv", "json")
TIMES = ("started", "answered", "ended", "updated")
HIDDEN = ("seq", "run")  # of the writer's own
NAMES = tuple(name for name in (*FIELDS, *COSTS, *TEXTS, "acts") if name not in HIDDEN)

Page = Callable[[CallFilter], Awaitable[list[Row]]]


def shown(row: Row) -> dict[str, Any]:
    """A call as it is shown: its id in hex, times in ISO 8601, UTC. Texts and acts are left out where the row has
    none."""
    plain = {name: row[name] for name in NAMES if name in row}
    if row.get("acts"):
        plain["acts"] = [act | {"at": _iso(act["at"])} for act in row["acts"]]
    return plain | {"id": call_id.show(row["id"])} | {name: _iso(row[name]) for name in TIMES}


async def export(page: Page, wanted: CallFilter, kind: str) -> AsyncGenerator[str, None]:
    """All calls that meet the filter, in one of FORMATS. They are read page by page: whoever reads slowly keeps no
    transaction open. The filter's limit does not count."""
    writes = _csv if kind == "csv" else _json
    yield writes.begin()
    until, first = wanted.until, True
    while True:
        rows = await page(msgspec.structs.replace(wanted, until=until, limit=MAX_PAGE - 1))
        if rows:
            yield writes.rows(rows, first=first)
            until, first = rows[-1]["id"], False
        if len(rows) < MAX_PAGE:
            break
    yield writes.end()


class _Csv:
    """A table for spreadsheets: a call a line, transcript, tools and acts in one cell each."""

    def begin(self) -> str:
        return ",".join(NAMES) + "\r\n"

    def rows(self, rows: list[Row], *, first: bool) -> str:  # noqa: ARG002 (lines need nothing between them)
        text = io.StringIO()
        writer = csv.writer(text)
        for row in rows:
            values = shown(row)
            values["transcript"] = " | ".join(f"{turn['role']}: {turn['text']}" for turn in row["transcript"])
            values["tools"] = " | ".join(json_text(tool) for tool in row["tools"])
            values["acts"] = " | ".join(json_text(act) for act in values["acts"] or ())
            writer.writerow([cell(values[name]) for name in NAMES])
        return text.getvalue()

    def end(self) -> str:
        return ""


class _Json:
    """A list of objects, one a line."""

    def begin(self) -> str:
        return "["

    def rows(self, rows: list[Row], *, first: bool) -> str:
        return ("\n" if first else ",\n") + ",\n".join(json_text(shown(row)) for row in rows)

    def end(self) -> str:
        return "\n]\n"


_csv, _json = _Csv(), _Json()


def _iso(at_ms: int | None) -> str | None:
    if at_ms is None:
        return None
    return datetime.fromtimestamp(at_ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
