"""Outbound calls over HTTP: access, requests and answers."""

import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from telephony.lines.outbound_call import TOKEN_FILE
from telephony.server.app import App
from tests.telephony.lines.sip.callee import Callee
from tests.telephony.lines.sip.phone import server
from tests.waiting import until

Client = httpx.AsyncClient


@asynccontextmanager
async def control(data: Path, **changes: Any) -> AsyncIterator[tuple[App, Client]]:
    """A server, and a client that bears its token."""
    async with server(server__data=str(data), **changes) as app:
        token = (data / TOKEN_FILE).read_text().strip()
        transport = httpx.ASGITransport(app=app.asgi)
        headers = {"Authorization": f"Bearer {token}"}
        async with Client(transport=transport, base_url="http://localhost", headers=headers) as client:
            yield app, client


async def state(client: Client, call_id: str, *wanted: str) -> dict[str, Any]:
    """The call, as soon as it is in one of these states."""

    async def there() -> dict[str, Any] | None:
        call: dict[str, Any] = (await client.get(f"/calls/{call_id}")).json()
        return call if call["state"] in wanted else None

    found: dict[str, Any] = await until(there)
    return found


async def test_call_is_placed_followed_and_ended(tmp_path: Path) -> None:
    async with Callee() as one, control(tmp_path) as (_, client):
        answer = await client.post("/calls", json={"to": one.uri, "agent": "front_desk"})
        call = answer.json()
        assert answer.status_code == 201
        assert answer.headers["location"] == f"/calls/{call['id']}"
        assert (call["state"], call["to"], call["agent"], call["trunk"]) == ("calling", one.uri, "front_desk", "")
        await state(client, call["id"], "answered")
        assert (await client.delete(f"/calls/{call['id']}")).status_code == 200
        over = await state(client, call["id"], "ended")
        assert (over["outcome"], over["reason"]) == ("hangup", "hung up here")
        assert (await client.delete(f"/calls/{call['id']}")).json() == over  # again changes nothing
        await one.until(lambda: bool(one.ended))


async def test_token_is_the_owners_alone_and_new_each_time(tmp_path: Path) -> None:
    seen = set()
    for _ in range(2):
        async with control(tmp_path / "data"):
            path = tmp_path / "data" / TOKEN_FILE
            assert stat.S_IMODE(path.stat().st_mode) == 0o600
            seen.add(path.read_text())
    assert len(seen) == 2
    assert len(min(seen)) > 40
    assert [file.name for file in (tmp_path / "data").iterdir()] == [TOKEN_FILE]


@pytest.mark.parametrize("given", ["", "Bearer ", "Bearer wrong", "Basic {token}", "Bearer {token}x", "Bearer é"])
async def test_without_the_token_nothing_is_told(tmp_path: Path, given: str) -> None:
    async with control(tmp_path) as (app, client):
        token = client.headers["Authorization"].removeprefix("Bearer ")
        headers = {"Authorization": given.format(token=token).encode("latin-1")}
        for method, path in (("POST", "/calls"), ("GET", "/calls/x"), ("DELETE", "/calls/x")):
            answer = await client.request(method, path, headers=headers)  # type: ignore[arg-type]
            assert answer.status_code == 401
            assert answer.headers["www-authenticate"] == "Bearer"
            assert answer.json() == {"error": "the token is missing or wrong"}
        assert app.admission.active == 0


@pytest.mark.parametrize(
    ("body", "status", "why"),
    [
        (b"", 400, "truncated"),
        (b"{", 400, "truncated"),
        (b"[]", 400, "Expected `object`"),
        (b"\xff\xfe", 400, "malformed"),
        (b"{}", 400, "required field `to`"),
        (b'{"to": 5}', 400, "$.to"),
        (b'{"to": "sip:bob@example.com", "from": "me"}', 400, "from"),
        (b'{"to": "sip:bob@example.com", "trunk": "acme"}', 422, "there is no trunk 'acme'; there are: none"),
        (b'{"to": "sip:bob@example.com", "agent": "acme"}', 422, "there is no agent 'acme'"),
        (b'{"to": "bob"}', 422, "to: "),
        (b'{"to": "sip:bob@example.com", "keys": "12 34"}', 422, "keys: ' ' is no key: 0-9 * # A-D are keys"),
        (b'{"to": "sip:bob@example.com", "keys": "' + b"1" * 33 + b'"}', 422, "keys: 1 to 32 keys"),
        (b'{"to": "sip:bob@example.com", "keys": 12}', 400, "$.keys"),
        (b'{"to": "' + b"x" * 9000 + b'"}', 413, "longer than 8192 bytes"),
    ],
)
async def test_bad_request_is_told_why(tmp_path: Path, body: bytes, status: int, why: str) -> None:
    async with control(tmp_path) as (app, client):
        answer = await client.post("/calls", content=body)
        assert (answer.status_code, why in answer.json()["error"]) == (status, True), answer.text
        assert app.admission.active == 0


async def test_no_place(tmp_path: Path) -> None:
    async with Callee(Callee.ring) as one, control(tmp_path, call__capacity=1) as (_, client):
        call = (await client.post("/calls", json={"to": one.uri})).json()
        answer = await client.post("/calls", json={"to": one.uri})
        assert (answer.status_code, answer.json()["error"]) == (409, "no capacity")
        await client.delete(f"/calls/{call['id']}")
        assert (await state(client, call["id"], "cancelled"))["status"] == 0


async def test_no_sip(tmp_path: Path) -> None:
    async with control(tmp_path, sip__enabled=False) as (_, client):
        answer = await client.post("/calls", json={"to": "sip:bob@127.0.0.1"})
        assert (answer.status_code, answer.json()["error"]) == (409, "SIP is off: sip.enabled is false")
        assert (await client.get("/calls/x")).status_code == 404


async def test_unknown_call(tmp_path: Path) -> None:
    async with control(tmp_path) as (_, client):
        for method in ("GET", "DELETE"):
            answer = await client.request(method, "/calls/x")
            assert (answer.status_code, answer.json()["error"]) == (404, "there is no such call")


async def test_folder_that_cannot_be_written_costs_calls_out_only(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "file").write_text("")
    async with server(server__data=str(tmp_path / "file" / "data"), records__mode="on") as app:
        assert app.calls.is_ready
        assert "no calls can be placed: cannot write" in caplog.text
        assert "no calls go on record: cannot write" in caplog.text
