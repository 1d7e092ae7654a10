"""/api/calls: who may, what is asked wrongly, what is answered."""

import csv
import io
import json
import sqlite3
from collections.abc import AsyncIterator
from contextlib import closing
from pathlib import Path

import pytest

from telephony.records.call_id import show
from telephony.records.call_record import CallRecord
from telephony.records.text import clean
from telephony.server.app import App
from tests.telephony.records.calls import NASTY, call, said
from tests.telephony.server.test_control import Client, control
from tests.waiting import until

ENDPOINTS = [("GET", "/api/calls"), ("GET", "/api/calls/export"), ("GET", "/api/calls/x"), ("DELETE", "/api/calls/x")]


async def put(app: App, *records: CallRecord) -> None:
    """Have the server store them."""
    assert app.shared.calls
    for record in records:
        app.shared.calls._writer.put(record)
    calls = app.shared.calls

    async def stored() -> bool:
        return all([await calls.get(record.id) for record in records])

    await until(stored)


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[tuple[App, Client]]:
    """A server with five calls, of which the last is on."""
    async with control(tmp_path, sip__enabled=False, records__mode="on") as (app, client):
        ended = [call(number, status="ended", transcript=said(f"word{number} both")) for number in range(1, 5)]
        assert app.shared.calls
        await put(app, *ended, call(5, run=app.shared.calls._run))
        yield app, client


async def test_without_the_token_nothing_is_told(served: tuple[App, Client]) -> None:
    _, client = served
    for method, path in ENDPOINTS:
        for headers in ({"Authorization": "Bearer wrong"}, {"Authorization": ""}):
            answer = await client.request(method, path, headers=headers)
            assert answer.status_code == 401
            assert answer.json() == {"error": "the token is missing or wrong"}
            assert answer.headers["www-authenticate"] == "Bearer"


async def test_a_page_in_a_browser_is_refused(served: tuple[App, Client]) -> None:
    _, client = served
    for method, path in ENDPOINTS:
        answer = await client.request(method, path, headers={"Origin": "https://evil.example"})
        assert answer.status_code == 403


async def test_lists_are_pages(served: tuple[App, Client]) -> None:
    _, client = served
    first = (await client.get("/api/calls", params={"limit": 3})).json()
    assert [found["call"] for found in first["calls"]] == ["CA5", "CA4", "CA3"]
    assert "transcript" not in first["calls"][0]
    second = (await client.get("/api/calls", params={"limit": 3, "before": first["next"]})).json()
    assert [found["call"] for found in second["calls"]] == ["CA2", "CA1"]
    assert second["next"] is None


async def test_search_and_filters(served: tuple[App, Client]) -> None:
    _, client = served
    for query, wanted in (("q=BOTH+word2", ["CA2"]), ("status=active", ["CA5"]), ("agent=none", [])):
        found = (await client.get(f"/api/calls?{query}")).json()["calls"]
        assert [one["call"] for one in found] == wanted


async def test_one_call_is_shown_by_either_id(served: tuple[App, Client]) -> None:
    _, client = served
    for name in (show(call(2).id), "CA2"):
        found = (await client.get(f"/api/calls/{name}")).json()
        assert (found["call"], found["transcript"][0]["text"]) == ("CA2", "word2 both")


@pytest.mark.parametrize(
    ("query", "why"),
    [
        ("limit=201", "limit: a whole number from 1 to 200"),
        ("limit=-1", "limit: "),
        ("limit=1&limit=2", "'limit' stands twice"),
        ("before=xyz", "before: the id of a call is wanted"),
        ("since=%00", "since: at most 200 characters of text"),
        ("since=tomorrow", "since: a date or time is wanted"),
        ("q=%ED%A0%80", "q: 1 to 16 words"),
        ("colour=red", "there is no filter 'colour'"),
        ("format=csv", "there is no filter 'format'"),
        ("%22%3Cscript%3E=1", "there is no filter"),
    ],
)
async def test_a_query_that_is_wrong_is_said_to_be(served: tuple[App, Client], query: str, why: str) -> None:
    _, client = served
    answer = await client.get(f"/api/calls?{query}")
    assert answer.status_code == 400
    assert why in answer.json()["error"]


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/api/calls/CA9", 404),
        ("/api/calls/ffffffffffffffff", 404),
        ("/api/calls/" + "x" * 129, 400),
        ("/api/calls/%00", 400),
        ("/api/calls/a%1b%5b2J", 400),
        ("/api/calls/export?format=xml", 400),
        ("/api/calls/export?limit=9999", 400),
    ],
)
async def test_paths_that_lead_nowhere(served: tuple[App, Client], path: str, status: int) -> None:
    _, client = served
    answer = await client.get(path)
    assert answer.status_code == status
    assert list(answer.json()) == ["error"]
    if "export" not in path:
        assert (await client.delete(path)).status_code in (status, 404)


async def test_exports(served: tuple[App, Client]) -> None:
    _, client = served
    answer = await client.get("/api/calls/export", params={"format": "csv", "status": "ended"})
    assert answer.headers["content-type"] == "text/csv; charset=utf-8"
    assert answer.headers["content-disposition"] == 'attachment; filename="calls.csv"'
    assert [row["call"] for row in csv.DictReader(io.StringIO(answer.text))] == ["CA4", "CA3", "CA2", "CA1"]
    assert [row["call"] for row in (await client.get("/api/calls/export?q=word3")).json()] == ["CA3"]


async def test_deleting(served: tuple[App, Client]) -> None:
    _, client = served
    answer = await client.delete("/api/calls/CA5")
    assert answer.status_code == 409
    assert "is on" in answer.json()["error"]
    assert (await client.delete(f"/api/calls/{show(call(2).id)}")).json() == {"deleted": 1}
    assert (await client.get("/api/calls/CA2")).status_code == 404
    assert (await client.delete("/api/calls/CA2")).status_code == 404
    assert len((await client.get("/api/calls")).json()["calls"]) == 4


async def test_strangers_text_stays_text(served: tuple[App, Client]) -> None:
    app, client = served
    nasty = clean(NASTY)
    await put(app, call(9, status="ended", caller_name=nasty, reason=nasty, transcript=said(nasty)))
    text = (await client.get("/api/calls/CA9")).text
    assert text.isprintable()
    assert json.loads(text)["caller_name"] == nasty


async def test_a_database_that_fails_is_said_to(served: tuple[App, Client], tmp_path: Path) -> None:
    _, client = served
    with closing(sqlite3.connect(tmp_path / "records" / "calls.sqlite")) as database:
        database.execute("ALTER TABLE calls RENAME TO gone")
        for method, path in ENDPOINTS:
            answer = await client.request(method, path)
            assert answer.status_code == 503
            assert answer.json() == {"error": "no such table: calls"}
        database.execute("ALTER TABLE gone RENAME TO calls")
    assert (await client.get("/api/calls/CA1")).status_code == 200


async def test_without_records_there_is_nothing(tmp_path: Path) -> None:
    async with control(tmp_path, sip__enabled=False) as (_, client):
        for method, path in ENDPOINTS:
            answer = await client.request(method, path)
            assert answer.status_code == 409
            assert "records.mode is off" in answer.json()["error"]
    assert not (tmp_path / "records").exists()
