"""Calls whose session descriptions name hosts, over real sockets and a DNS server of ours."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from telephony.lines.sip.dialogs.events import (
    Acked,
    Answered,
    Cause,
    Ended,
    Event,
    Info,
    Invited,
    Reanswered,
    Reinvited,
)
from telephony.lines.sip.dialogs.events import ReinviteWithdrawn as Withdrawn
from telephony.lines.sip.dialogs.uas import UasCall
from telephony.lines.sip.network.locator import Locator
from telephony.lines.sip.network.naming import MOST_WAITING, Naming
from telephony.server.app import App
from tests.telephony.lines.sip.callee import Callee
from tests.telephony.lines.sip.nameserver import NameServer
from tests.telephony.lines.sip.peer import Bench, invite
from tests.telephony.lines.sip.phone import Phone, over, server
from tests.waiting import until

pytestmark = pytest.mark.looptime
Open = Callable[..., Awaitable[Phone]]
HERE: dict[tuple[str, str], list[str]] = {("media.example", "A"): ["127.0.0.1"]}


def naming(body: bytes, host: str = "media.example") -> bytes:
    return body.replace(b"c=IN IP4 127.0.0.1", b"c=IN IP4 " + host.encode())


async def refused(one: Phone, body: bytes) -> int:
    one.dial(body=body)
    ended = await one.wait(Ended)
    return int(ended.status)


async def test_a_caller_who_names_a_host_is_answered(phone: Open, nameserver: NameServer) -> None:
    nameserver.records |= HERE
    async with server() as app:
        one = await phone(app)
        one.dial(body=naming(one.negotiation.offer()))
        await one.wait(Answered)
        await one.until(lambda: len(one.speech()) > 10)
        assert nameserver.asked == [("media.example", "A")]
        one.hang_up()
        await over(app)


async def test_a_host_in_the_hosts_file_needs_no_dns(phone: Open, nameserver: NameServer) -> None:
    async with server() as app:
        one = await phone(app)
        one.dial(body=naming(one.negotiation.offer(), "localhost"))
        await one.wait(Answered)
        await one.until(lambda: len(one.speech()) > 10)
        assert nameserver.asked == []
        one.hang_up()
        await over(app)


async def test_a_host_that_nobody_knows_is_488(
    phone: Open, nameserver: NameServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with server() as app:
        one = await phone(app)
        assert await refused(one, naming(one.negotiation.offer())) == 488
        assert "media.example: NXDOMAIN" in caplog.text
        assert not app.calls


async def test_dns_that_says_nothing_holds_nobody_else_up(
    phone: Open, nameserver: NameServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("telephony.lines.sip.network.naming.LOOKUP_S", 1.0)
    nameserver.silent = True
    async with server() as app:
        one, other = await phone(app), await phone(app)
        waiting = asyncio.create_task(refused(one, naming(one.negotiation.offer())))
        await (await other.talk()).until(lambda: len(other.speech()) > 10)
        assert await waiting == 488
        other.hang_up()
        await over(app)


async def test_who_gives_up_meanwhile_leaves_nothing(
    phone: Open, nameserver: NameServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("telephony.lines.sip.network.naming.LOOKUP_S", 0.5)
    nameserver.silent = True
    async with server() as app:
        assert app.sip
        one = await phone(app)
        one.dial(body=naming(one.negotiation.offer()))
        await one.until(lambda: any(getattr(m, "status", 0) == 100 for m in one.messages))
        one.hang_up()
        await one.until(lambda: any(getattr(m, "status", 0) == 487 for m in one.messages))
        waiting = app.sip._naming._waiting
        await until(lambda: not waiting)
        assert not app.calls
        assert "could not be dealt with" not in caplog.text
        assert 'voxline_calls_total{outcome="hangup"}' not in app.metrics.exposition().decode()


@pytest.mark.parametrize("known", [True, False])
async def test_a_reinvite_that_names_a_host(phone: Open, nameserver: NameServer, known: bool) -> None:
    if known:
        nameserver.records |= HERE
    async with server(engine__simulated__words=40) as app:
        one = await (await phone(app)).talk()
        assert one.call
        one.call.reinvite(naming(one.negotiation.offer()), one._now_ms())
        one.flush()
        assert (await one.wait(Reanswered)).status == (200 if known else 488)
        heard = len(one.speech())
        await one.until(lambda: len(one.speech()) > heard + 10)
        one.hang_up()
        await over(app)


@pytest.mark.parametrize("known", [True, False])
async def test_the_called_party_may_name_a_host(
    callee: Callable[..., Awaitable[Callee]], nameserver: NameServer, known: bool
) -> None:
    if known:
        nameserver.records |= HERE

    def answer(bob: Callee, call: UasCall) -> None:
        call.accept(naming(bob._negotiation.answer(bob._offer)[0]), bob.now_ms())

    bob = await callee(answer)
    async with server() as app:
        call = dial(app, bob.uri)
        if known:
            await bob.until(lambda: call.state == "answered")
            bob.hang_up()
        await bob.until(lambda: bool(bob.ended))
        await over(app)
        assert (call.outcome == "failed") is not known


def dial(app: App, to: str) -> Any:
    assert app.sip
    return app.sip.outbound.originate(to)


class Told:
    """What is told when, by a `Naming` that asks DNS."""

    def __init__(self) -> None:
        self.events: list[Event] = []
        bench = Bench()
        self.naming = Naming(Locator(("UDP",), 4), self.events.append, rings=bench.ua.rings)
        bench.give(invite())
        self.call: str = bench.told(Invited).call

    def give(self, *events: Event) -> None:
        for event in events:
            if not self.naming.holds(event):
                self.events.append(event)

    async def all(self) -> list[Event]:
        await asyncio.gather(*self.naming._tasks.values())
        return self.events


NAMED = b"v=0\r\nc=IN IP4 media.example\r\n"


async def test_news_is_told_in_order(nameserver: NameServer) -> None:
    nameserver.records |= HERE
    told = Told()
    keys = [Info(told.call, "application/dtmf", b"%d" % n) for n in range(MOST_WAITING + 5)]
    told.give(keys[0], Acked(told.call, NAMED), *keys[1:], Reinvited(told.call, b""), told_end := ended(told.call))
    assert told.events == keys[:1]
    first, acked, *rest, reinvited, end = await told.all()
    assert acked == Acked(told.call, b"v=0\r\nc=IN IP4 127.0.0.1\r\n")
    assert [first, *rest] == keys[:MOST_WAITING]  # what is too much is lost, of keys only
    assert (reinvited, end) == (Reinvited(told.call, b""), told_end)
    told.give(keys[0])
    assert told.events[-1] == keys[0]


async def test_a_name_that_nobody_knows_is_no_hindrance_to_the_others(nameserver: NameServer) -> None:
    nameserver.records |= HERE
    told = Told()
    told.give(Acked(told.call, b"c=IN IP4 nobody.example\r\n" + NAMED))
    (acked,) = await told.all()
    assert acked == Acked(told.call, b"c=IN IP4 nobody.example\r\nv=0\r\nc=IN IP4 127.0.0.1\r\n")


async def test_an_offer_that_is_withdrawn_is_not_told(nameserver: NameServer) -> None:
    nameserver.records |= HERE
    told = Told()
    told.give(Reinvited(told.call, NAMED), Withdrawn(told.call), Reinvited(told.call, b"second"))
    assert await told.all() == [Reinvited(told.call, b"second")]


async def test_closing_ends_the_questions(nameserver: NameServer) -> None:
    nameserver.silent = True
    told = Told()
    told.give(Acked(told.call, NAMED))
    tasks = list(told.naming._tasks.values())
    told.naming.close()
    await asyncio.gather(*tasks, return_exceptions=True)
    assert not told.events
    assert not told.naming._waiting


def ended(call: str) -> Ended:
    return Ended(call, Cause.REMOTE, 0, "", 0)
