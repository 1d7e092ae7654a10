"""A call that the peer puts on hold, over real sockets: what is heard then is not the caller, and it goes on after."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from agent.engine.embedded.synthesizer import say
from agent.state import State
from audio.resample import to_line
from telephony.lines.sip.dialogs.events import Answered, Reanswered
from telephony.server.app import App
from telephony.server.bridge import Bridge
from tests.telephony.lines.sip.phone import Phone, over, server

pytestmark = pytest.mark.looptime
Open = Callable[..., Awaitable[Phone]]
PLEASE_HOLD = to_line(*say("please hold the line"))
SHORT: dict[str, Any] = {"engine__simulated__words": 2}
LONG: dict[str, Any] = {"engine__simulated__words": 40}  # 8 s


def bridge_of(app: App) -> Bridge:
    (line,) = app.calls
    bridge = line.listener  # type: ignore[attr-defined]
    assert isinstance(bridge, Bridge)
    return bridge


def state(app: App) -> State:
    return bridge_of(app)._conversation.session.state


def answers(app: App) -> float:
    """The caller's turns that were answered."""
    return app.metrics.replies.labels("answer")._value.get()


async def direct(one: Phone, direction: str) -> None:
    one.direct(direction)
    assert (await one.wait(Reanswered)).status == 200


async def listened_to(phone: Open, app: App) -> Phone:
    """A caller who has heard the greeting."""
    one = await (await phone(app)).talk()
    await one.until(lambda: state(app) is State.LISTENING)
    return one


@pytest.mark.slow
async def test_announcements_on_hold_are_not_the_callers_and_the_call_goes_on_afterwards(
    phone: Open, heard: list[bytes]
) -> None:
    async with server(**SHORT) as app:
        one = await listened_to(phone, app)
        await direct(one, "sendonly")
        before = len(heard)
        for _ in range(3):
            one.say(PLEASE_HOLD + bytes(16 * 600))
        one.say(PLEASE_HOLD)  # and it is taken off hold at once: the last of it is still on its way
        await one.until(lambda: not one._words)
        await direct(one, "sendrecv")
        await one.until(lambda: state(app) is State.LISTENING)
        count = len(heard) + 25
        await one.until(lambda: len(heard) > count)
        assert not any(map(any, heard[before:]))
        assert answers(app) == 0
        said = len(one.speech())
        one.say(to_line(*say("I would like to book an appointment")))
        await one.until(lambda: answers(app) == 1 and len(one.speech()) > said)
        one.hang_up()
        await over(app)


@pytest.mark.parametrize("direction", ["sendonly", "inactive"])
async def test_on_hold_nobody_speaks_and_nobody_listens(
    phone: Open, heard: list[bytes], pressed: list[str], direction: str
) -> None:
    async with server(**LONG) as app:
        one = await (await phone(app)).talk()
        await direct(one, direction)
        assert state(app) is State.HOLD
        before, session = len(heard), bridge_of(app)._conversation.session
        made = session.unheard_ms
        one.say(PLEASE_HOLD)
        await one.until(lambda: len(heard) > before + len(PLEASE_HOLD) // 320)
        assert session.unheard_ms == made  # the engine waits, too
        assert not any(map(any, heard[before:]))
        await direct(one, "sendrecv")
        assert state(app) is State.SPEAKING
        one.hang_up()
        await over(app)


async def test_a_call_that_begins_on_hold_is_greeted_when_somebody_is_there(phone: Open) -> None:
    async with server(**SHORT) as app:
        one = await phone(app)
        one.negotiation.direction = "inactive"
        one.dial()
        await one.wait(Answered)
        await one.until(lambda: state(app) is State.HOLD)
        await direct(one, "sendrecv")
        await one.until(lambda: len(one.speech()) > 10)
        one.hang_up()
        await over(app)


async def test_a_caller_who_only_listens_has_not_put_the_call_on_hold(phone: Open) -> None:
    """A phone that is muted may say so; its owner hears the agent."""
    async with server(**SHORT) as app:
        one = await (await phone(app)).talk()
        await direct(one, "recvonly")
        await one.until(lambda: state(app) is State.LISTENING)
        one.hang_up()
        await over(app)
