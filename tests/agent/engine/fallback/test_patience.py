"""A model's events through a task of their own."""

import asyncio
from collections.abc import AsyncGenerator

import pytest

from agent.engine.base import Done, ModelEvent, Text
from agent.engine.fallback import patience as reading
from agent.engine.fallback.patience import MAX_EVENTS, PatientReader
from agent.exceptions import EngineError


class Source:
    """Gives numbered words; waits before the first one, and fails before one of them."""

    def __init__(self, count: int, fail_at: int = -1) -> None:
        self.gate = asyncio.Event()
        self.given = 0
        self.closed = False
        self._count = count
        self._fail_at = fail_at

    async def events(self) -> AsyncGenerator[ModelEvent, None]:
        try:
            async with asyncio.timeout(30):  # binds the generator to the task of its first step
                await self.gate.wait()
            for number in range(self._count):
                if number == self._fail_at:
                    raise EngineError("broken")
                self.given += 1
                yield Text(f"{number} ")
            yield Done()
        finally:
            self.closed = True


async def test_all_events_come_in_order_and_then_nothing() -> None:
    source = Source(1000)
    source.gate.set()
    async with PatientReader(source.events()) as events:
        found = [await events.next() for _ in range(1002)]
    assert found == [*(Text(f"{number} ") for number in range(1000)), Done(), None]
    assert source.closed


async def test_waiting_in_vain_does_no_harm() -> None:
    source = Source(1)
    async with PatientReader(source.events()) as events:
        assert not await events.begins_within(0.01)
        assert not await events.begins_within(0.01)
        source.gate.set()
        assert await events.begins_within(5)
        assert await events.next() == Text("0 ")


async def test_an_error_comes_in_its_place() -> None:
    source = Source(5, fail_at=1)
    source.gate.set()
    async with PatientReader(source.events()) as events:
        assert await events.begins_within(5)
        assert await events.next() == Text("0 ")
        with pytest.raises(EngineError, match="broken"):
            await events.next()


async def test_an_error_or_an_end_without_events_ends_the_wait() -> None:
    for source in (Source(1, fail_at=0), Source(0)):
        source.gate.set()
        async with PatientReader(source.events()) as events:
            assert await events.begins_within(5)


async def test_who_is_silent_for_too_long_is_given_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "SILENT_S", 0.01)
    source = Source(1)
    async with PatientReader(source.events()) as events:
        with pytest.raises(TimeoutError):
            await events.next()
    assert source.closed


async def test_nothing_is_read_far_ahead_and_the_end_ends_the_model() -> None:
    source = Source(10 * MAX_EVENTS)
    source.gate.set()
    before = asyncio.all_tasks()
    async with PatientReader(source.events()) as events:
        await events.begins_within(5)
        for _ in range(20):
            await asyncio.sleep(0)
        assert source.given <= MAX_EVENTS + 1
    assert source.closed
    assert asyncio.all_tasks() == before
