"""Operators and calls over SIP, in virtual time: what the caller hears, to the packet."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from agent.engine.base import HIDDEN
from agent.engine.embedded.synthesizer import say
from agent.tape.file import read_lines
from agent.tape.reader import read
from agent.tape.replay import replay
from audio.rate import WIDE
from audio.resample import to_line
from telephony.lines.rtp.codec import G722, PCMU
from telephony.lines.rtp.g722 import G722Coder
from telephony.lines.sip.dialogs.events import Ended
from telephony.live import acts as act
from telephony.live.acts import ActError, Acts
from telephony.live.meter import SILENCE_DB
from telephony.live.view import Level
from telephony.server.app import App
from tests.telephony.lines.rtp.speech import hiss
from tests.telephony.lines.sip.phone import Phone, likeness, over, server
from tests.waiting import until, until_here

pytestmark = pytest.mark.looptime
Phones = Callable[..., Awaitable[Phone]]
LONG: dict[str, Any] = {"engine__simulated__words": 60}  # 12 s
ANN = "Ann"


@pytest.fixture
async def phones() -> AsyncIterator[Phones]:
    """Opens SIP phones for servers."""
    opened: list[Phone] = []

    async def open_one(app: App, *codecs: Any) -> Phone:
        one = await Phone().open(app)
        one.negotiation = one.able(codecs or (PCMU,))
        opened.append(one)
        return await one.talk()

    yield open_one
    for one in opened:
        await one.close()


def acts_on(app: App) -> Acts:
    """The one call's."""
    (call,) = app.shared.live
    found = app.shared.live.find(call.id)
    assert found is app.shared.live.find(call.line.call_id)
    assert found
    return found


def history(acts: Acts) -> list[tuple[str, str]]:
    return [(turn.role, turn.text) for turn in acts.call.session.memory.history.turns()]


def heard_after(phone: Phone, at_s: float) -> list[float]:
    """When each packet with sound has come, in seconds after this time."""
    return [when - at_s for when, item in phone.heard if when >= at_s and loud(item.payload)]


def loud(ulaw: bytes) -> bool:
    return bool(np.abs(np.frombuffer(PCMU.decode(ulaw), "<i2")).max() > 200)


async def speak(acts: Acts, pcm: bytes, *, each_ms: int = 20) -> None:
    """As a browser sends it."""
    size = 2 * acts.call.line.rate * each_ms // 1000
    for at in range(0, len(pcm), size):
        acts.speak(ANN, pcm[at : at + size])
        await asyncio.sleep(each_ms / 1000)


async def test_taken_over_the_agent_falls_silent_within_200_ms_and_the_operator_is_heard(
    phones: Phones, tmp_path: Path
) -> None:
    words = to_line(*say("Hello, this is Ann from the front desk."))
    async with server(server__data=str(tmp_path), tape__mode="full", **LONG) as app:
        one = await phones(app)
        acts, loop = acts_on(app), asyncio.get_running_loop()
        await asyncio.sleep(2)
        assert acts.call.view().level.agent > -30
        acts.speak(ANN, words[:320])  # not yet theirs
        begun = loop.time()
        acts.act(ANN, act.TakeOver())
        await asyncio.sleep(2)
        assert max(heard_after(one, begun), default=0) < 0.2
        view = acts.call.view()
        assert (view.taken_over, view.operator, view.state, view.speaking) == (True, ANN, "listening", "")
        assert view.level == Level(SILENCE_DB, SILENCE_DB)
        one.heard.clear()
        await speak(acts, words)
        await asyncio.sleep(1)
        assert likeness(words, one.pcm()) > 0.97
        role, text = history(acts)[0]
        assert (role, 5 < len(text.split()) < 15) == ("agent", True)
        assert history(acts)[1] == ("taken_over", "")
        acts.act(ANN, act.GiveBack())
        one.heard.clear()
        await asyncio.sleep(2)
        assert not one.speech()
        assert not acts.call.view().taken_over
        one.hang_up()
        await one.wait(Ended)
        await over(app)
    (tape,) = until_here(lambda: list((tmp_path / "tapes").glob("*.gz")))
    head, steps = read(read_lines(tape))
    taken = list(steps)
    assert "OperatorAudio" in [type(step.event).__name__ for step in taken]
    assert replay(head, taken).difference is None


async def test_on_a_wide_band_line_the_operator_is_heard_at_its_rate(phones: Phones) -> None:
    async with server(**LONG) as app:
        one = await phones(app, G722)
        acts = acts_on(app)
        assert acts.call.view().wide
        acts.act(ANN, act.TakeOver())
        await asyncio.sleep(0.5)
        one.heard.clear()
        high = hiss(2)[:32_000]  # nothing below 4 kHz
        await speak(acts, high)
        coder = G722Coder(WIDE)
        heard = b"".join(coder.decode(item.payload) for _, item in one.heard)
        assert likeness(high, heard) > 0.9
        one.hang_up()
        await over(app)


async def test_a_browser_that_sends_in_bursts_is_heard_without_a_gap(phones: Phones) -> None:
    words = np.full(8000, 4000, "<i2").tobytes()
    async with server(**LONG) as app:
        one = await phones(app)
        acts = acts_on(app)
        acts.act(ANN, act.TakeOver())
        await asyncio.sleep(0.5)
        one.heard.clear()
        await speak(acts, words, each_ms=60)
        await asyncio.sleep(0.5)
        sound = [n for n, (_, item) in enumerate(one.heard) if loud(item.payload)]
        assert len(sound) == pytest.approx(50, abs=1)
        assert sound[-1] - sound[0] == len(sound) - 1
        one.hang_up()
        await over(app)


async def test_what_is_said_is_heard_and_in_the_history(phones: Phones) -> None:
    async with server(log__words=True) as app:
        one = await phones(app)
        acts = acts_on(app)
        acts.act(ANN, act.Say("Your taxi  is\nhere."))
        await until(lambda: ("agent", "Your taxi is here.") in history(acts))
        assert acts.call.view().last
        assert [(said.role, said.text) for said in acts.call.said][-1] == ("agent", "Your taxi is here.")
        assert [(found.who, found.act, found.details) for found in acts.call.acts] == [
            (ANN, "say", {"text": "Your taxi is here."})
        ]
        one.hang_up()
        await over(app)


async def test_hanging_up_is_the_operators(phones: Phones) -> None:
    async with server(**LONG) as app:
        one = await phones(app)
        acts = acts_on(app)
        acts.act(ANN, act.HangUp())
        await one.wait(Ended)
        assert acts.call.end()["ended_by"] == "operator"
        assert acts.call.line.ending.outcome.__class__.__name__ == "HangUp"
        await over(app)
        assert not list(app.shared.live)
        with pytest.raises(ActError, match="ending"):
            acts.act(ANN, act.HangUp())


async def test_a_transfer_asks_the_callers_phone_at_once(phones: Phones) -> None:
    async with server(**LONG) as app:
        one = await phones(app)
        acts = acts_on(app)
        acts.act(ANN, act.Transfer("+15550100123"))
        await one.wait(Ended)
        assert (acts.call.end()["ended_by"], acts.call.end()["reason"]) == ("operator", "transferred")
        assert acts.call.acts[0].details == {"to": "*********123"}
        await over(app)


async def test_when_the_operators_last_socket_closes_the_agent_is_given_back_the_call(phones: Phones) -> None:
    async with server(**LONG) as app:
        one = await phones(app)
        acts = acts_on(app)
        acts.opened(ANN)
        acts.opened(ANN)
        acts.act(ANN, act.TakeOver())
        acts.closed(ANN)
        await asyncio.sleep(6)
        assert acts.call.session.taken_over  # by another socket of theirs
        acts.closed(ANN)
        await asyncio.sleep(3)
        acts.opened(ANN)  # they come back in time
        await asyncio.sleep(6)
        assert acts.call.session.taken_over
        acts.closed(ANN)
        await asyncio.sleep(4.9)
        assert acts.call.session.taken_over
        await asyncio.sleep(0.2)
        assert not acts.call.session.taken_over
        assert [found.act for found in acts.call.acts] == ["takeover", "giveback"]
        one.hang_up()
        await over(app)


async def test_what_cannot_be_done_now_is_refused_and_the_call_goes_on(phones: Phones) -> None:
    async with server(**LONG) as app:
        one = await phones(app)
        acts = acts_on(app)
        refused: list[tuple[act.Body, str, int]] = [
            (act.Say(""), "words are wanted", 422),
            (act.Say("\x1b[2J"), "control characters", 422),
            (act.Say("x" * 1001), "at most 1000", 413),
            (act.Instruct("be brief"), "no model to instruct", 409),
            (act.Press("12x"), "'x' is no key", 422),
            (act.Transfer("nowhere"), "E.164", 422),
            (act.GiveBack(), "nobody has taken over", 409),
        ]
        for body, why, status in refused:
            with pytest.raises(ActError, match=why) as error:
                acts.act(ANN, body)
            assert error.value.status == status
        for _ in range(4):
            acts.act(ANN, act.Say("Wait."))
        with pytest.raises(ActError, match="too much waits"):
            acts.act(ANN, act.Say("Wait."))
        one.direct("sendonly")
        await until(lambda: acts.call.view().held)
        for body in (act.TakeOver(), act.Press("1"), act.Transfer("+15550100123")):
            with pytest.raises(ActError, match="on hold"):
                acts.act(ANN, body)
        one.direct("sendrecv")
        await until(lambda: not acts.call.view().held)
        acts.act(ANN, act.TakeOver())
        for body in (act.TakeOver(), act.Say("Hello.")):
            with pytest.raises(ActError, match="taken over by Ann"):
                acts.act("Bob", body)
        assert len(acts.call.acts) == 5
        one.hang_up()
        await over(app)


async def test_what_is_said_in_private_is_shown_and_kept_by_nobody(phones: Phones) -> None:
    async with server(log__words=True) as app:
        one = await phones(app)
        acts = acts_on(app)
        acts.act(ANN, act.Recording(on=False))
        acts.act(ANN, act.Say("The PIN is 4711."))
        await until(lambda: ("agent", "The PIN is 4711.") in history(acts))
        assert acts.call.said[-1].text == HIDDEN
        view = acts.call.view()
        assert (view.private, view.last) == (True, None)
        acts.act(ANN, act.Press("4711"))
        assert [found.details for found in acts.call.acts] == [{"on": False}, {}, {"count": 4}]
        one.hang_up()
        await over(app)


async def test_a_call_that_is_being_ended_says_nothing_more(phones: Phones) -> None:
    async with server(**LONG) as app:
        one = await phones(app)
        acts = acts_on(app)
        acts.call.line.shut_down()
        with pytest.raises(ActError, match="the call is ending"):
            acts.act(ANN, act.Say("Wait."))
        acts.act(ANN, act.HangUp())
        await one.wait(Ended)
        await over(app)


async def test_an_instruction_reaches_a_model(phones: Phones) -> None:
    async with server(**LONG) as app:
        app.shared.engine = msgspec.structs.replace(app.shared.engine, instructable=True)
        one = await phones(app)
        acts = acts_on(app)
        acts.act(ANN, act.Instruct("Offer a discount."))
        assert ("operator", "Offer a discount.") in history(acts)
        assert acts.call.acts[0].details == {}  # log.words is off
        one.hang_up()
        await over(app)


async def test_who_listens_in_hears_both_sides_and_nothing_private(phones: Phones) -> None:
    async with server(turn__onset_probability=1, **LONG) as app:
        one = await phones(app)
        acts = acts_on(app)
        assert not acts.call.watched
        listening = acts.call.listen()
        assert acts.call.watched
        sound = np.random.default_rng(1).integers(-9000, 9000, 8000).astype("<i2").tobytes()
        one.say(sound)
        tracks = {0: b"", 1: b""}
        levels = []
        for step in range(300):
            await asyncio.sleep(0.02)
            if step == 150:
                acts.act(ANN, act.Recording(on=False))
                one.say(sound)
                edge = {kind: len(pcm) for kind, pcm in tracks.items()}
            for frame in listening.take():
                assert int.from_bytes(frame[1:5], "big") == len(tracks[frame[0]]) // 2
                assert len(frame) - 5 == 640
                tracks[frame[0]] += frame[5:]
            levels.append(len(tracks[0]))
        behind_ms = [20 * (step + 1) - length / 16 for step, length in enumerate(levels)]
        assert max(behind_ms) <= 300
        assert listening.dropped == 0
        assert likeness(sound, tracks[0][: edge[0]]) > 0.95
        assert likeness(tracks[1][edge[1] - 16_000 : edge[1] - 8000], one.pcm()) > 0.95
        for kind, pcm in tracks.items():
            assert any(pcm[: edge[kind]])
            assert not any(pcm[edge[kind] + 1280 :])
        acts.call.leave(listening)
        assert not acts.call.watched
        one.hang_up()
        await over(app)
