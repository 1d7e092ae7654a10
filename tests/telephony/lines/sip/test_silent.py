"""Callers who send nothing, over real sockets: by right, because they are gone, or for no reason."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from telephony.lines.rtp import packet
from telephony.lines.rtp.packet import Packet
from telephony.lines.sip.dialogs.events import Ended, Reanswered
from telephony.lines.sip.dialogs.invite_dialog import Call
from telephony.lines.sip.media import sockets
from telephony.lines.sip.syntax.message import Message, Request, Response
from tests.telephony.lines.sip.phone import Phone, over, server

pytestmark = pytest.mark.looptime
Open = Callable[..., Awaitable[Phone]]
QUICK: dict[str, Any] = {"sip__media_timeout_s": 0.1, "engine__simulated__words": 200}  # 40 s
QUESTIONS = 3


def questions(one: Phone) -> int:
    return sum(isinstance(m, Request) and m.method == "OPTIONS" for m in one.messages)


async def goes_on(one: Phone) -> None:
    """It is asked again and again, and the call stays."""
    before = questions(one)
    await one.until(lambda: questions(one) >= before + QUESTIONS)
    assert not any(isinstance(event, Ended) for event in one.events)


@pytest.mark.parametrize("direction", ["sendonly", "inactive"])
async def test_on_hold_nobody_need_send(phone: Open, monkeypatch: pytest.MonkeyPatch, direction: str) -> None:
    monkeypatch.setattr("telephony.lines.sip.liveness.MOST_QUESTIONS", 1)
    async with server(**QUICK) as app:
        one = await (await phone(app)).talk()
        one.direct(direction)
        assert (await one.wait(Reanswered)).status == 200
        one.talking = False
        await goes_on(one)
        one.talking = True
        one.direct("sendrecv")
        assert (await one.wait(Reanswered)).status == 200
        heard = len(one.speech())
        await one.until(lambda: len(one.speech()) > heard + 10)
        one.hang_up()
        await over(app)


async def test_who_sends_comfort_noise_need_send_nothing_else(phone: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    """One packet that was not agreed on, and then nothing while the agent speaks."""
    monkeypatch.setattr("telephony.lines.sip.liveness.MOST_QUESTIONS", 1)
    async with server(**QUICK) as app:
        one = await (await phone(app)).talk()
        one.talking = False
        assert one.media
        noise = Packet(13, 60_000, 1_000_000, 4711, b"\x30")
        sockets.send(one._sockets.audio, packet.encode(noise), one.media.remote)
        await goes_on(one)
        heard = len(one.speech())
        await one.until(lambda: len(one.speech()) > heard + 10)
        one.hang_up()
        await over(app)


async def test_who_has_forgotten_the_call_is_hung_up_on(phone: Open, caplog: pytest.LogCaptureFixture) -> None:
    async with server(**QUICK) as app:
        one = await (await phone(app)).talk()
        one.talking = False
        one.ua._core.dialogs.clear()
        await one.until(lambda: any(isinstance(m, Request) and m.method == "BYE" for m in one.messages))
        await over(app)
        assert 'voxline_calls_total{outcome="failed"} 1.0' in app.metrics.exposition().decode()


@pytest.mark.parametrize("on_hold", [False, True])
async def test_who_is_gone_is_hung_up_on(phone: Open, monkeypatch: pytest.MonkeyPatch, on_hold: bool) -> None:
    monkeypatch.setattr("telephony.lines.sip.dialogs.exchange.HURRY_MS", 700.0)
    async with server(**QUICK) as app:
        one = await (await phone(app)).talk()
        if on_hold:
            one.direct("inactive")
            assert (await one.wait(Reanswered)).status == 200
        one.talking = False

        def deaf(message: Message) -> None:
            one.messages.append(message)

        monkeypatch.setattr(one, "_message", deaf)
        await one.until(lambda: any(isinstance(m, Request) and m.method == "BYE" for m in one.messages))
        await over(app)


async def test_who_ought_to_send_and_only_answers_is_hung_up_on_in_the_end(
    phone: Open, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr("telephony.lines.sip.liveness.MOST_QUESTIONS", 2)
    async with server(**QUICK) as app:
        one = await (await phone(app)).talk()
        one.talking = False
        await one.wait(Ended)
        await over(app)
        assert questions(one) == 2
        assert not [m for m in one.messages if isinstance(m, Response) and m.status >= 300]
        assert "refused: no media for" in caplog.text


async def test_a_fault_in_asking_costs_one_call(phone: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("telephony.lines.sip.liveness.MOST_QUESTIONS", 10_000)
    async with server(**QUICK) as app:
        one, other = [await (await phone(app)).talk() for _ in range(2)]
        assert app.sip
        victim = next(iter(app.sip.calls))
        probe = Call.probe

        def fail(call: Call, now_ms: float) -> None:
            if call.id == victim:
                raise RuntimeError("a fault")
            probe(call, now_ms)

        monkeypatch.setattr(Call, "probe", fail)
        one.talking = other.talking = False
        await one.until(lambda: any(isinstance(m, Request) and m.method == "BYE" for m in one.messages))
        await goes_on(other)
        other.hang_up()
        await over(app)
