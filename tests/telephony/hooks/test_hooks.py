"""The thread of the hooks: it is asked from another loop, answers in time, and ends whatever it is doing."""

import asyncio
from typing import Any

from pydantic import SecretStr

from config.hooks import HooksSettings
from config.parties import Parties
from telephony.hooks.hooks import Hooks
from telephony.lines.metrics import Metrics
from telephony.lines.screening import IncomingCall, Verdict
from tests.telephony.hooks.receiver import SECRET, Receiver, receiving
from tests.waiting import until

ANN = Parties("+31612345678", "+31201234567", "Ann \x07", verified=True)


class Asking:
    """Hooks of their own, with one agent."""

    def __init__(self, receiver: Receiver, limit_ms: int = 5000) -> None:
        url, secret = SecretStr(receiver.url()), SecretStr(SECRET)
        settings = HooksSettings(before_call=url, before_call_ms=limit_ms, secret=secret)
        self.metrics = Metrics()
        self.hooks = Hooks(settings, {"desk"}, self.metrics)

    async def __aenter__(self) -> "Asking":
        await asyncio.to_thread(self.hooks.start, None)
        return self

    async def __aexit__(self, *_: Any) -> None:
        await asyncio.to_thread(self.hooks.stop)

    async def ask(self, call_id: str = "CA1") -> Verdict:
        return await self.hooks.screen(IncomingCall(call_id, "sip", "desk", ANN, "carrier"))

    def count(self, outcome: str) -> float:
        labels = {"hook": "before_call", "outcome": outcome}
        return self.metrics.registry.get_sample_value("voxline_hooks_total", labels) or 0


async def test_it_is_asked_from_another_loop() -> None:
    async with receiving({"agent": "desk", "variables": {"a": "b"}}) as receiver, Asking(receiver) as asking:
        assert await asking.ask() == Verdict("desk", {"a": "b"})
        [asked] = receiver.asked
    assert asked.is_signed()
    question = asked.content
    assert (question["line"], question["trunk"], question["verified"]) == ("sip", "carrier", True)
    assert (question["caller"], question["caller_name"]) == ("+31612345678", "Ann \x07")
    assert asking.count("answered") == 1


async def test_many_are_asked_at_once() -> None:
    async with receiving({"refuse": "busy"}) as receiver, Asking(receiver) as asking:
        verdicts = await asyncio.gather(*(asking.ask(f"CA{number}") for number in range(50)))
        assert set(map(repr, verdicts)) == {repr(Verdict(refuse="busy"))}
        assert {asked.content["call"] for asked in receiver.asked} == {f"CA{number}" for number in range(50)}
        assert len({asked.content["id"] for asked in receiver.asked}) == 50
    assert asking.count("refused") == 50


async def test_one_that_never_answers_holds_nobody_up() -> None:
    async with receiving(None) as receiver, Asking(receiver, 50) as asking:
        assert await asking.ask() == Verdict()
    assert asking.count("failed") == 1


async def test_it_ends_while_somebody_is_asked() -> None:
    async with receiving(None) as receiver:
        async with Asking(receiver) as asking:
            question = asyncio.create_task(asking.ask())
            await until(lambda: receiver.asked)
        assert await question == Verdict()
        assert await asking.ask() == Verdict()
        await asyncio.to_thread(asking.hooks.stop)


async def test_before_it_is_started_nobody_is_asked() -> None:
    receiver = Receiver()
    receiver.port = 9
    asking = Asking(receiver)
    assert await asking.ask() == Verdict()
    asking.hooks.stop()
