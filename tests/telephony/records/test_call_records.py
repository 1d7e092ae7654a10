"""Calls over SIP on record: ours and theirs, answered or not. Real sockets."""

import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from telephony.records.call_filter import parse
from telephony.records.store import Row
from telephony.server.app import App
from tests.telephony.lines.sip.callee import Callee, reject
from tests.telephony.lines.sip.phone import Phone, server
from tests.telephony.server.test_control import Client, control, state
from tests.waiting import until


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[tuple[App, Client]]:
    """A server that shows numbers."""
    async with control(tmp_path, records__mode="on", log__numbers="full") as (app, client):
        yield app, client


async def row(app: App, **query: str) -> Row:
    """The only call, as soon as it is as asked for."""
    calls = app.shared.calls
    assert calls

    async def there() -> Row | None:
        rows = await calls.find(parse(query))
        return rows[0] if len(rows) == 1 and len(await calls.find(parse({}))) == 1 else None

    found: Row = await until(there)
    return found


async def test_a_call_of_ours_is_one_row_from_its_beginning(served: tuple[App, Client]) -> None:
    app, client = served
    async with Callee() as bob:
        call = (await client.post("/calls", json={"to": bob.uri, "agent": "front_desk"})).json()
        begun = await row(app, status="active")
        assert (begun["call"], begun["direction"], begun["line"], begun["called"]) == (
            call["id"],
            "outbound",
            "sip",
            bob.uri,
        )
        await state(client, call["id"], "answered")
        await until(lambda: bob.acked)
        await client.delete(f"/calls/{call['id']}")
        await state(client, call["id"], "ended")
        ended = await row(app, status="ended")
    assert (ended["id"], ended["started"]) == (begun["id"], begun["started"])
    assert (ended["ended_by"], ended["reason"], ended["outcome"]) == ("operator", "hung up here", "hangup")
    assert ended["answered"] >= ended["started"]


async def test_one_that_is_declined_ends_with_the_reason(served: tuple[App, Client]) -> None:
    app, client = served
    async with Callee(reject(486)) as bob:
        await client.post("/calls", json={"to": bob.uri})
        ended = await row(app, status="ended")
    assert (ended["outcome"], ended["ended_by"], ended["answered"]) == ("busy", "called", None)
    assert ended["reason"].startswith("486 ")


async def test_one_that_is_given_up_ends_too(served: tuple[App, Client]) -> None:
    app, client = served
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as silent:
        silent.bind(("127.0.0.1", 0))
        uri = f"sip:bob@127.0.0.1:{silent.getsockname()[1]}"
        call = (await client.post("/calls", json={"to": uri})).json()
        await row(app, status="active")
        await client.delete(f"/calls/{call['id']}")
        await state(client, call["id"], "cancelled")
        ended = await row(app, status="ended")
    assert (ended["outcome"], ended["ended_by"], ended["answered"]) == ("cancelled", "operator", None)
    assert ended["reason"] == "cancelled"


async def test_a_caller_over_sip_is_on_record_with_the_carriers_id(tmp_path: Path) -> None:
    async with server(server__data=str(tmp_path), records__mode="on", log__numbers="full") as app:
        assert app.sip
        phone = await Phone().open(app)
        await phone.talk("front_desk")
        await row(app, status="active")
        phone.hang_up()
        ended = await row(app, status="ended")
        await phone.close()
    assert (ended["direction"], ended["ended_by"], ended["reason"]) == ("inbound", "caller", "the caller hung up")
    assert ended["carrier_id"] != ended["call"]
    assert ended["caller"]
