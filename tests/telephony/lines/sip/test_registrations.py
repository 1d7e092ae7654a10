"""Registrations over real sockets: known to a registrar from the start to the end of the server, whatever it does."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from telephony.lines.sip.dialogs.events import Ended
from telephony.lines.sip.syntax.header import parse_name_addr
from telephony.server.app import App
from tests.telephony.lines.sip.nameserver import NameServer
from tests.telephony.lines.sip.phone import Phone, over, server
from tests.telephony.lines.sip.registrar import HOST, Registrar
from tests.waiting import until

pytestmark = pytest.mark.looptime
Open = Callable[..., Awaitable[Phone]]
Begin = Callable[..., Awaitable[Registrar]]


@pytest.fixture
async def registrar() -> AsyncIterator[Begin]:
    """Opens registrars; closes them afterwards."""
    opened: list[Registrar] = []

    async def begin(*args: Any, **options: Any) -> Registrar:
        opened.append(Registrar(*args, **options))
        return await opened[-1].open()

    yield begin
    for one in opened:
        one.close()


def trunk(one: Registrar, **more: Any) -> dict[str, Any]:
    """Settings of a trunk whose server it is."""
    account = {"user": "agent", "password": "pw123"}
    return {"sip__trunks": {"pbx": {"server": f"sip:{HOST}:{one.port}", "register": True, **account, **more}}}


def gauge(app: App) -> str:
    lines = app.metrics.exposition().decode().splitlines()
    return next(line.split()[-1] for line in lines if line.startswith('voxline_sip_registered{trunk="pbx"}'))


async def test_registered_with_a_password_and_unregistered_at_the_end(
    registrar: Begin, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    one = await registrar({"agent": "pw123"})
    async with server(**trunk(one)) as app:
        assert app.sip
        await until(lambda: gauge(app) == "1.0")
        (contact,) = one.bindings.values()
        assert parse_name_addr(contact).uri.port == app.sip.ports["UDP"]
        assert list(one.bindings) == [f"sip:agent@{HOST}"]
    assert one.bindings == {}
    assert one.seen == ["3600", "0"]
    told = [r.message for r in caplog.records if r.message in ("registered", "unregistered")]
    assert told == ["registered", "unregistered"]
    assert "pw123" not in caplog.text


async def test_draining_unregisters_while_calls_go_on(registrar: Begin, phone: Open) -> None:
    one = await registrar()
    async with server(server__drain_s=30, server__drain_goodbye_s=0.1, **trunk(one)) as app:
        await until(lambda: gauge(app) == "1.0")
        caller = await (await phone(app)).talk()
        draining = asyncio.create_task(app.drain())
        await until(lambda: one.bindings == {} and gauge(app) == "0.0")
        assert len(app.calls) == 1
        caller.hang_up()
        await draining


async def test_renewed_in_time_and_with_a_new_nonce(registrar: Begin) -> None:
    one = await registrar({"agent": "pw123"}, grant_s=2)
    one.spoiled = 1
    async with server(**trunk(one)) as app:
        await until(lambda: len(one.seen) >= 3)
        assert gauge(app) == "1.0"
    assert one.answered[:3] == [401, 401, 200]


async def test_asks_for_longer_where_the_registrar_wants_it(registrar: Begin) -> None:
    one = await registrar(least_s=120)
    async with server(**trunk(one, expires_s=60)) as app:
        await until(lambda: gauge(app) == "1.0")
        assert one.seen == ["60", "120"]


async def test_registrar_that_restarts_knows_us_again(registrar: Begin) -> None:
    one = await registrar({"agent": "pw123"}, grant_s=2)
    async with server(**trunk(one)) as app:
        await until(lambda: bool(one.bindings))
        await one.restart()
        await until(lambda: bool(one.bindings) and gauge(app) == "1.0")


async def test_wrong_password_is_told_and_tried_again_later(registrar: Begin, caplog: pytest.LogCaptureFixture) -> None:
    one = await registrar({"agent": "another"})
    async with server(**trunk(one)) as app:
        await until(lambda: "not registered: Unauthorized" in caplog.text)
        assert gauge(app) == "0.0"
        record = next(r for r in caplog.records if r.message.startswith("not registered"))
        assert (record.trunk, record.status) == ("pbx", 401)
        assert 2 <= record.retry_s <= 5
        assert len(one.answered) == 2
    assert one.seen == []


async def test_calls_of_the_registrar_reach_the_trunks_agent(
    registrar: Begin, phone: Open, agents: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Its address is let in because it knows us; without that only 192.0.2.0/24 would be."""
    caplog.set_level(logging.INFO)
    one = await registrar()
    changes = trunk(one, agent="night") | {"sip__trusted": ["192.0.2.0/24"]}
    async with server(agents=agents, **changes) as app:
        await until(lambda: gauge(app) == "1.0")
        caller = await (await phone(app)).talk("front_desk")
        caller.hang_up()
        await over(app)
    assert [r.agent for r in caplog.records if r.message == "started"] == ["night"]
    assert [r.trunk for r in caplog.records if r.message == "call"] == ["pbx"]


async def test_who_was_only_called_may_not_call(registrar: Begin, phone: Open) -> None:
    """A registrar that has refused us may answer, and no more."""
    one = await registrar({"agent": "another"})
    async with server(**trunk(one), sip__trusted=["192.0.2.0/24"]) as app:
        await until(lambda: len(one.answered) == 2)
        caller = await phone(app)
        caller.dial()
        assert (await caller.wait(Ended)).status == 403


async def test_registrar_by_name(
    registrar: Begin, nameserver: NameServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """DNS knows nothing at first; later it names two servers, of which the first is silent."""
    monkeypatch.setattr("telephony.lines.sip.registrations.FIRST_PAUSE_S", 0.1)
    monkeypatch.setattr("telephony.lines.sip.dialogs.exchange.HURRY_MS", 200)
    silent, one = await registrar(), await registrar({"agent": "pw123"})
    silent.silent = True
    async with server(**trunk(one, server="sip:pbx.example.com")) as app:
        await until(lambda: "registrar not found: pbx.example.com: NXDOMAIN" in caplog.text)
        assert gauge(app) == "0.0"
        nameserver.records |= {
            ("_sip._udp.pbx.example.com", "SRV"): [
                f"1 0 {silent.port} a.example.com.",
                f"2 0 {one.port} a.example.com.",
            ],
            ("a.example.com", "A"): [HOST],
        }
        await until(lambda: gauge(app) == "1.0")
        assert list(one.bindings) == ["sip:agent@pbx.example.com"]
        assert app.sip
        assert app.sip.authentication.guard.is_trunk(HOST)
