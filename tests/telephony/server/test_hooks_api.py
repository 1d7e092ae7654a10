"""/api/hooks/deliveries: who may, what is asked wrongly, what is answered."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from telephony.records.deliveries import delivery_id
from telephony.server.app import App
from tests.telephony.hooks.receiver import SECRET, receiving
from tests.telephony.records.calls import call
from tests.telephony.server.test_api import put
from tests.telephony.server.test_control import Client, control


@pytest.fixture
async def served(tmp_path: Path) -> AsyncIterator[tuple[App, Client]]:
    """A server with three calls that nobody takes, and one that is on."""
    async with receiving(503) as receiver:
        hooks = {"hooks__after_call": receiver.url(), "hooks__secret": SECRET}
        async with control(tmp_path, sip__enabled=False, records__mode="on", **hooks) as (app, client):
            assert app.shared.calls
            ended = [call(number, status="ended", host="another") for number in range(1, 4)]
            await put(app, *ended, call(4, run=app.shared.calls._run))
            yield app, client


async def test_deliveries_are_listed_page_by_page(served: tuple[App, Client]) -> None:
    _, client = served
    first = (await client.get("/api/hooks/deliveries", params={"limit": "2"})).json()
    assert [each["id"] for each in first["deliveries"]] == [delivery_id(call(number).id) for number in (3, 2)]
    rest = (await client.get("/api/hooks/deliveries", params={"before": first["next"]})).json()
    assert [each["id"] for each in rest["deliveries"]] == [delivery_id(call(1).id)]
    assert rest["next"] is None
    on = (await client.get("/api/hooks/deliveries", params={"status": "open"})).json()
    assert [each["call"] for each in on["deliveries"]] == [delivery_id(call(4).id).removeprefix("after-")]


@pytest.mark.parametrize("query", ["status=no", "limit=0", "limit=201", "limit=x", "limit=٣", "before=x", "page=2"])
async def test_what_is_asked_wrongly_is_named(served: tuple[App, Client], query: str) -> None:
    _, client = served
    answer = await client.get(f"/api/hooks/deliveries?{query}")
    assert answer.status_code == 400
    assert query.partition("=")[0] in answer.json()["error"]


async def test_sending_again(served: tuple[App, Client]) -> None:
    _, client = served
    for name, status in (
        (delivery_id(call(1).id), 200),
        (delivery_id(call(4).id), 404),
        (delivery_id(5), 404),
        ("nonsense", 404),
    ):
        assert (await client.post(f"/api/hooks/deliveries/{name}/resend")).status_code == status


async def test_without_the_token_nothing_is_told(served: tuple[App, Client]) -> None:
    _, client = served
    wrong = {"Authorization": "Bearer wrong"}
    assert (await client.get("/api/hooks/deliveries", headers=wrong)).status_code == 401
    assert (await client.post("/api/hooks/deliveries/x/resend", headers=wrong)).status_code == 401


async def test_without_records_it_says_so(tmp_path: Path) -> None:
    async with control(tmp_path, sip__enabled=False) as (_, client):
        answer = await client.get("/api/hooks/deliveries")
        assert (answer.status_code, "records.mode is off" in answer.json()["error"]) == (409, True)
        assert (await client.post("/api/hooks/deliveries/x/resend")).status_code == 409
