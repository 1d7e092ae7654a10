"""Attended transfers over real sockets: the other person is rung, and answers or does not."""

import asyncio
import logging
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any
from urllib.parse import unquote

import pytest

from agent.engine.base import TRANSFER, Cue, Done, Engine, ModelEvent, Next, ReplyRequest, Text
from agent.engine.simulated import SimulatedSynthesizer
from agent.events import TransferFailed
from agent.tape.replay import replay
from config.settings import load_settings
from telephony.lines.sip import attended_transfer
from telephony.lines.sip.dialogs.events import Answered, Ended, Referred
from telephony.lines.sip.dialogs.uas import UasCall
from telephony.lines.sip.media.audio_line import Capabilities
from telephony.lines.sip.media.offer import Negotiation
from telephony.lines.sip.syntax.header import parse_name_addr, parse_uri
from telephony.lines.sip.syntax.message import Request
from telephony.server.app import App
from telephony.tapes.replay import open_tape
from tests.telephony.lines.sip.callee import Callee, reject
from tests.telephony.lines.sip.clients.local import free_port
from tests.telephony.lines.sip.phone import HOST, QUICK, Phone, over, server
from tests.waiting import until

pytestmark = pytest.mark.looptime
Open = Callable[..., Awaitable[Phone]]
Somebody = Callable[..., Awaitable[Callee]]
APOLOGY = "Nobody is there. What else?"


class Operator:
    """A model that transfers every caller, and waits for what they want if that fails."""

    def __init__(self, to: str) -> None:
        self.to = to
        self.requests: list[ReplyRequest] = []

    async def load(self) -> None:
        """Nothing to load."""

    async def reply(self, request: ReplyRequest) -> AsyncGenerator[ModelEvent, None]:
        self.requests.append(request)
        if request.cue is Cue.GREET:
            yield Text("One moment.")
            yield Done(next=Next.TRANSFER, transfer_to=self.to)
        elif request.cue is Cue.UNREACHED:
            yield Text(APOLOGY)
            yield Done()
        else:
            yield Text("Goodbye.")
            yield Done(next=Next.HANG_UP)

    def cancel(self, request: str) -> None:
        """Nothing goes on."""

    async def close(self) -> None:
        """Nothing to give back."""


def agents_with(folder: Path, target: str) -> str:
    """The agents that ship; callers who ask for a person are transferred to `target`."""
    shipped = Path(__file__).parents[4] / "config" / "agents" / "front_desk.yaml"
    folder.mkdir(exist_ok=True)
    (folder / "front_desk.yaml").write_text(shipped.read_text().replace('"+15550100199"', f'"{target}"'))
    return str(folder)


@pytest.fixture
def desk(tmp_path: Path) -> Any:
    """A server whose agent transfers every caller to `target`."""

    @asynccontextmanager
    async def begin(target: str, to: str = "reception", **more: Any) -> Any:
        model = Operator(to)
        synthesizer = SimulatedSynthesizer(load_settings(None, QUICK).engine.simulated)
        engine = Engine(model, synthesizer)  # type: ignore[arg-type]
        folder = agents_with(tmp_path / "agents", target)
        async with server(engine, sip__transfer="attended", agents=folder, **more) as app:
            app.model = model  # type: ignore[attr-defined]
            yield app

    return begin


def results(app: App) -> dict[str, float]:
    """The results of transfers."""
    found = {}
    for metric in app.metrics.transfers.collect():
        found |= {s.labels["result"]: s.value for s in metric.samples if s.name == "voxline_transfers_total"}
    return found


async def over_with(app: App) -> None:
    """Wait until no call is up and nobody is being rung."""
    await over(app)
    assert app.sip
    sip = app.sip
    await until(lambda: not (sip.calls or sip._ua.calls))  # type: ignore[union-attr]
    assert not app.sip.attended_transfers._on
    assert not app.sip.attended_transfers._tasks


async def told(app: App) -> ReplyRequest:
    """Wait until the agent says that nobody is there; what it was asked."""
    found: list[ReplyRequest] = await until(lambda: unreached(app))
    return found[-1]


def unreached(app: App) -> list[ReplyRequest]:
    return [r for r in app.model.requests if r.cue is Cue.UNREACHED]  # type: ignore[attr-defined]


def connected(one: Phone, referred: Referred) -> None:
    """The caller's phone has reached the person."""
    one.ua.call(referred.call).accept_refer(one._now_ms())
    one.ua.call(referred.call).tell_refer(200, one._now_ms())
    one.flush()


async def test_the_caller_is_connected_with_the_person_who_answers(
    phone: Open, callee: Somebody, desk: Any, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    person = await callee()
    async with desk(person.uri) as app:
        one = await phone(app)
        one.dial()
        await one.wait(Referred)
        refer = next(m for m in one.messages if isinstance(m, Request) and m.method == "REFER")
        to = parse_name_addr(refer.headers.get("Refer-To")).uri
        assert person.call
        call_id, ours, theirs = person.call.dialog.id
        assert unquote(to.headers) == f"Replaces={call_id};to-tag={ours};from-tag={theirs}"
        assert (to.host, to.port) == (HOST, person.port)
        await one.wait(Ended)
        await person.until(lambda: bool(person.ended))
        assert person.methods() == ["INVITE", "ACK", "BYE"]
        await over_with(app)
        assert results(app) == {"connected": 1}
        assert 'voxline_calls_total{outcome="transfer"} 1.0' in app.metrics.exposition().decode()
    consulted = next(r for r in caplog.records if r.message == "consulted")
    ended = next(r for r in caplog.records if r.message == "ended")
    assert (ended.reason, ended.call) == ("transferred", consulted.caller)
    assert consulted.call != consulted.caller
    assert person.uri not in caplog.text


async def test_the_person_hears_silence_until_the_caller_comes(phone: Open, callee: Somebody, desk: Any) -> None:
    """RTP every 20 ms, from the answer on."""
    person = await callee()
    loop, heard = asyncio.get_running_loop(), []

    class Ear(asyncio.DatagramProtocol):
        def datagram_received(self, data: bytes, addr: Any) -> None:
            heard.append(data)

    ear, _ = await loop.create_datagram_endpoint(Ear, local_addr=(HOST, 0))
    port = ear.get_extra_info("sockname")[1]
    person._negotiation = Negotiation(Capabilities(address=HOST, port=port, secure="off"))
    try:
        async with desk(person.uri) as app:
            one = await phone(app)
            one.patient = True
            one.dial()
            referred = await one.wait(Referred)
            await one.until(lambda: len(heard) > 20)
            assert {data[12:] for data in heard} == {b"\xff" * 160}
            connected(one, referred)
            await one.wait(Ended)
            await over_with(app)
    finally:
        ear.close()


@pytest.mark.parametrize(("status", "reason"), [(486, "busy"), (603, "declined"), (404, "failed"), (480, "unanswered")])
async def test_a_caller_whose_person_does_not_come_is_with_the_agent_again(
    phone: Open, callee: Somebody, desk: Any, status: int, reason: str
) -> None:
    person = await callee(reject(status))
    async with desk(person.uri) as app:
        one = await phone(app)
        one.dial()
        (result,) = (await told(app)).tool_results
        assert (result.name, result.arguments) == (TRANSFER, {"to": "reception"})
        assert result.error.endswith(reason)
        spoken = len(one.speech())
        await one.until(lambda: len(one.speech()) > spoken + 20)  # the apology
        one.press("1#")
        await one.wait(Ended)  # answered, with a goodbye
        assert app.model.requests[-1].digits == "1"
        await over_with(app)
        assert results(app) == {reason: 1}
        assert 'voxline_calls_total{outcome="hangup"} 1.0' in app.metrics.exposition().decode()


async def test_nobody_answers(phone: Open, callee: Somebody, desk: Any, tmp_path: Path) -> None:
    """Which is on the tape, and replays."""
    person = await callee(Callee.ring)
    async with desk(person.uri, sip__ring_timeout_s=0.5, tape__mode="full", server__data=str(tmp_path)) as app:
        one = await phone(app)
        one.dial()
        assert (await told(app)).tool_results[0].error.endswith("unanswered")
        await person.until(lambda: "CANCEL" in person.methods())
        one.hang_up()
        await over_with(app)
    (tape,) = (tmp_path / "tapes").iterdir()
    head, steps = open_tape(tape)
    assert [step.state for step in steps if step.event == TransferFailed("unanswered")] == ["processing"]
    assert replay(head, steps).difference is None


async def test_a_caller_who_gives_up_waiting_ends_the_ringing(phone: Open, callee: Somebody, desk: Any) -> None:
    person = await callee(Callee.ring)
    async with desk(person.uri) as app:
        one = await phone(app)
        one.dial()
        await person.until(lambda: person.call is not None)
        one.hang_up()
        await person.until(lambda: "CANCEL" in person.methods())
        await over_with(app)
        assert results(app) == {"cancelled": 1}


@pytest.mark.parametrize("how", ["refused", "not reached", "no word"])
async def test_who_answered_is_hung_up_on_when_the_caller_cannot_be_connected(
    phone: Open, callee: Somebody, desk: Any, how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(attended_transfer, "NEWS_MS", 600.0)
    person = await callee()
    async with desk(person.uri) as app:
        one = await phone(app)
        one.patient = True
        one.dial()
        referred = await one.wait(Referred)
        if how == "refused":
            one.ua.call(referred.call).refuse_refer(603, one._now_ms())
        else:
            one.ua.call(referred.call).accept_refer(one._now_ms())
        if how == "not reached":
            one.ua.call(referred.call).tell_refer(486, one._now_ms())
        one.flush()
        assert (await told(app)).tool_results[0].error.endswith("failed")
        await person.until(lambda: "BYE" in person.methods())
        assert len(app.calls) == 1
        one.hang_up()
        await over_with(app)
        assert results(app) == {"failed": 1}


async def test_a_person_who_hangs_up_first_may_have_been_connected(phone: Open, callee: Somebody, desk: Any) -> None:
    """The person whose call is taken over hangs up on us; only the caller's phone can report."""
    person = await callee()
    async with desk(person.uri) as app:
        one = await phone(app)
        one.patient = True
        one.dial()
        referred = await one.wait(Referred)
        one.ua.call(referred.call).accept_refer(one._now_ms())
        one.flush()
        person.hang_up()
        await person.until(lambda: bool(person.ended))
        await asyncio.sleep(0.1)
        assert len(app.calls) == 1
        one.ua.call(referred.call).tell_refer(200, one._now_ms())
        one.flush()
        await one.wait(Ended)
        await over_with(app)
        assert results(app) == {"connected": 1}


async def test_a_caller_who_hangs_up_while_being_connected(phone: Open, callee: Somebody, desk: Any) -> None:
    person = await callee()
    async with desk(person.uri) as app:
        one = await phone(app)
        one.patient = True
        one.dial()
        one.ua.call((await one.wait(Referred)).call).accept_refer(one._now_ms())
        one.hang_up()
        await person.until(lambda: "BYE" in person.methods())
        await over_with(app)
        assert results(app) == {"cancelled": 1}


async def test_nobody_is_rung_for_a_phone_that_cannot_be_transferred(
    phone: Open, callee: Somebody, desk: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(Phone, "obliging", False)
    person = await callee()
    async with desk(person.uri) as app:
        one = await phone(app)
        one.dial()
        await told(app)
        assert not person.requests
        one.hang_up()
        await over_with(app)


@pytest.mark.parametrize("to", ["reception", "nowhere"])
async def test_a_person_who_does_not_exist(phone: Open, desk: Any, to: str) -> None:
    async with desk("sip:bob@no-such-host.invalid", to) as app:
        one = await phone(app)
        one.dial()
        assert (await told(app)).tool_results[0].arguments == {"to": to}
        one.hang_up()
        await over_with(app)


async def test_a_person_who_is_ourselves_is_not_reached(phone: Open, desk: Any) -> None:
    """A request of our own that comes back is refused."""
    port = free_port()
    async with desk(f"sip:front_desk@127.0.0.1:{port}", sip__port=port) as app:
        one = await phone(app)
        one.dial()
        await told(app)
        one.hang_up()
        await over_with(app)
        assert results(app) == {"failed": 1}


async def test_a_number_is_dialled_at_the_trunk_that_the_call_came_by(phone: Open, callee: Somebody, desk: Any) -> None:
    person = await callee(reject(486))
    trunk = {"server": f"sip:127.0.0.1:{person.port}", "trusted": ["127.0.0.1"], "from": "sip:desk@example.com"}
    async with desk("+15550100123", sip__trunks={"pbx": trunk}) as app:
        one = await phone(app)
        one.dial()
        await told(app)
        (invite, *_) = person.requests
        assert invite.uri == f"sip:+15550100123@127.0.0.1:{person.port}"
        assert parse_name_addr(invite.headers.get("From")).uri == parse_uri("sip:desk@example.com")
        one.hang_up()
        await over_with(app)


async def test_a_number_is_dialled_where_the_call_came_from(phone: Open, desk: Any) -> None:
    async with desk("+15550100123") as app:
        one = await phone(app)
        one.dial()
        await one.until(lambda: any(isinstance(m, Request) and m.method == "INVITE" for m in one.messages))
        invite = next(m for m in one.messages if isinstance(m, Request) and m.method == "INVITE")
        assert invite.uri == f"sip:+15550100123@127.0.0.1:{one.address[1]}"
        one.hang_up()
        await over_with(app)


async def test_whoever_is_rung_takes_no_place(phone: Open, callee: Somebody, desk: Any) -> None:
    person = await callee()
    async with desk(person.uri, call__capacity=1) as app:
        one = await phone(app)
        one.dial()
        await one.wait(Ended)
        assert results(app) == {"connected": 1}
        await over_with(app)


async def test_a_server_that_ends_says_goodbye_to_a_waiting_caller(phone: Open, callee: Somebody, desk: Any) -> None:
    person = await callee(Callee.ring)
    async with desk(person.uri, server__drain_s=10, server__drain_goodbye_s=9.5) as app:
        one = await phone(app)
        one.dial()
        await person.until(lambda: person.call is not None)
        await app.drain()
        await one.wait(Ended)
        await person.until(lambda: "CANCEL" in person.methods())
        assert app.model.requests[-1].cue is Cue.SHUTDOWN
        await over_with(app)


async def test_a_server_that_stops_leaves_nobody_ringing(phone: Open, callee: Somebody, desk: Any) -> None:
    person = await callee(Callee.ring)
    async with desk(person.uri) as app:
        one = await phone(app)
        one.dial()
        await person.until(lambda: person.call is not None)
    await person.until(lambda: "CANCEL" in person.methods())
    await one.wait(Ended)


async def test_what_a_person_offers_anew_is_answered(phone: Open, callee: Somebody, desk: Any) -> None:
    """A phone may put us on hold while its owner looks for a pen."""
    person = await callee()
    async with desk(person.uri) as app:
        one = await phone(app)
        one.patient = True
        one.dial()
        referred = await one.wait(Referred)
        await person.until(lambda: person.acked)
        assert isinstance(person.call, UasCall)
        person._negotiation.direction = "sendonly"
        person.call.reinvite(person._negotiation.offer(), person.now_ms())
        person._flush()
        await person.until(lambda: not person.call or not person.call.busy)
        connected(one, referred)
        await one.wait(Ended)
        await over_with(app)
        assert results(app) == {"connected": 1}


async def test_a_cold_transfer_stays_cold(phone: Open, callee: Somebody, desk: Any) -> None:
    person = await callee()
    async with desk(person.uri) as app:
        assert app.sip
        app.sip.calls.begin_transfer = None
        one = await phone(app)
        one.dial()
        await one.wait(Answered)
        await one.wait(Ended)
        refer = next(m for m in one.messages if isinstance(m, Request) and m.method == "REFER")
        assert refer.headers.get("Refer-To") == f"<{person.uri}>"
        assert not person.requests
        await over(app)
