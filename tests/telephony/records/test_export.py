"""Calls as CSV and JSON."""

import csv
import io
import json
from typing import Any

import pytest

from telephony.records.call_filter import MAX_PAGE, CallFilter, parse
from telephony.records.call_id import show
from telephony.records.call_record import CallRecord, ToolRun
from telephony.records.export import NAMES, export
from telephony.records.store import Row, Store
from telephony.records.text import clean
from tests.telephony.records.calls import NASTY, call, said


async def text_of(store: Store, kind: str, **query: str) -> str:
    return "".join([text async for text in export(store.page, parse(query), kind)])


def hostile(number: int = 1) -> CallRecord:
    nasty = clean(NASTY)
    return call(
        number,
        caller="=cmd|' /C calc'!A0",
        called="+15550100199",
        caller_name="@SUM(A1:A9)",
        forwarded_from="-2+3",
        reason=nasty,
        call=clean("\t=1+1"),
        trunk=clean("\r+1"),
        transcript=said(nasty, "=1+1"),
        tools=(ToolRun("book", 0, True, {"name": nasty}),),
    )


async def test_no_cell_of_a_strangers_is_run(store: Store) -> None:
    await store.write([hostile()])
    text = await text_of(store, "csv")
    assert text.replace("\r\n", "").isprintable()
    head, row = csv.reader(io.StringIO(text, newline=""))
    assert head == list(NAMES)
    assert not [cell for cell in row if cell.lstrip().startswith(("=", "+", "-", "@", "\t", "\r"))]
    cells = dict(zip(head, row, strict=True))
    assert cells["caller"] == "'=cmd|' /C calc'!A0"
    assert cells["called"] == "'+15550100199"
    assert "<script>alert(1)</script>" in cells["transcript"]


async def test_json_is_printable_and_whole(store: Store) -> None:
    await store.write([hostile()])
    text = await text_of(store, "json")
    assert text.replace("\n", "").isprintable()
    [found] = json.loads(text)
    assert found["id"] == show(hostile().id)
    assert found["started"] == "2026-05-01T02:00:00.001Z"
    assert (found["ended"], found["cost_micros"]) == (None, None)
    assert found["transcript"][1]["text"] == "=1+1"
    assert "run" not in found


@pytest.mark.parametrize("kind", ["csv", "json"])
async def test_no_calls_are_an_empty_table_or_list(store: Store, kind: str) -> None:
    text = await text_of(store, kind)
    assert text.startswith("id,") if kind == "csv" else json.loads(text) == []


@pytest.mark.parametrize("count", [1, MAX_PAGE - 1, MAX_PAGE, MAX_PAGE + 1, 2 * MAX_PAGE])
async def test_every_call_is_in_it_once(count: int) -> None:
    calls = [{"id": number} for number in range(count, 0, -1)]
    asked: list[int] = []

    async def page(wanted: CallFilter) -> list[Row]:
        after = [row for row in calls if wanted.until is None or row["id"] < wanted.until]
        asked.append(wanted.limit)
        return [_whole(row) for row in after[: wanted.limit + 1]]

    text = "".join([text async for text in export(page, CallFilter(), "json")])
    assert [int(found["id"], 16) for found in json.loads(text)] == [row["id"] for row in calls]
    assert len(asked) == count // MAX_PAGE + 1


def _whole(row: dict[str, int]) -> dict[str, Any]:
    return {**dict.fromkeys(NAMES), "transcript": [], "tools": [], **row}
