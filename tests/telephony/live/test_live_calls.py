"""The list of live calls: what its viewers are told and when, in virtual time."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

import pytest

from agent import events as e
from telephony.live.live_calls import MAX_VIEWERS, LiveCalls
from telephony.live.view import AWAKE
from telephony.records.call_record import Act
from tests.telephony.live.calls import acts_on, end, events, live_call

pytestmark = pytest.mark.looptime


async def next_of(view: AsyncGenerator[bytes, None]) -> list[tuple[str, Any]]:
    return events(await anext(view))


def calls(count: int) -> LiveCalls:
    live = LiveCalls()
    for number in range(1, count + 1):
        live.add(acts_on(live_call(number))[0])
    return live


async def test_first_all_calls_then_those_that_have_changed_then_those_that_are_over() -> None:
    live = calls(3)
    first, second, third = live
    async with aclosing(live.list()) as view:
        [(kind, data)] = await next_of(view)
        assert (kind, [call["call"] for call in data["calls"]], data["gone"]) == ("calls", ["CA1", "CA2", "CA3"], [])
        second.told(e.Said("caller", "hello", False, 1.0))
        [(_, data)] = await next_of(view)
        assert [(call["call"], call["last"]["text"]) for call in data["calls"]] == [("CA2", "hello")]
        live.remove(first)
        live.add(acts_on(live_call(4))[0])
        [(_, data)] = await next_of(view)
        assert ([call["call"] for call in data["calls"]], data["gone"]) == (["CA4"], [first.id])
    assert not third.watched


async def test_at_most_four_times_a_second_and_awake_in_between() -> None:
    live = calls(1)
    (call,) = live
    loop = asyncio.get_running_loop()
    async with aclosing(live.list()) as view:
        await anext(view)
        begun = loop.time()
        for number in range(8):
            call.told(e.Said("caller", str(number), False, 1.0))
            await anext(view)
        assert loop.time() - begun == pytest.approx(2, abs=0.3)
        assert await anext(view) == AWAKE
        assert loop.time() - begun == pytest.approx(17, abs=0.3)


async def test_who_reads_slowly_gets_the_newest_state_and_misses_no_end() -> None:
    live = calls(2)
    first, second = live
    async with aclosing(live.list()) as slow, aclosing(live.list()) as quick:
        await anext(slow)
        await anext(quick)
        for number in range(20):
            second.told(e.Said("caller", str(number), False, 1.0))
            if number == 3:
                live.remove(first)
            await anext(quick)
        [(_, data)] = await next_of(slow)
        assert [(call["call"], call["last"]["text"]) for call in data["calls"]] == [("CA2", "19")]
        assert data["gone"] == [first.id]


async def test_all_viewers_are_given_the_same_bytes() -> None:
    live = calls(2)
    (first, _) = live
    async with aclosing(live.list()) as one, aclosing(live.list()) as other:
        assert await anext(one) is await anext(other)
        first.told(e.Said("caller", "hello", False, 1.0))
        assert await anext(one) is await anext(other)


async def test_without_a_viewer_nothing_runs() -> None:
    live = calls(1)
    before = asyncio.all_tasks()
    view = live.list()
    await anext(view)
    assert len(asyncio.all_tasks()) == len(before) + 1
    await view.aclose()
    await asyncio.sleep(0)
    assert asyncio.all_tasks() == before
    assert live.viewers == 0


async def test_one_call_is_followed_to_its_end() -> None:
    live = calls(2)
    call, _ = live
    call.told(e.Said("agent", "Hello.", False, 1.0))
    async with aclosing(live.one(call)) as view:
        assert [kind for kind, _ in await next_of(view)] == ["calls", "said"]
        call.hears(e.Partial(2, "when are"), private=False)
        call.hears(e.Partial(2, "when are you"), private=False)
        call.acted(Act(5, "Ann", "say", {"text": "Hello."}))
        found = dict(await next_of(view))
        assert found["words"] == {"utterance": 2, "text": "when are you"}
        assert found["act"] == {"at": 5, "who": "Ann", "act": "say", "details": {"text": "Hello."}}
        call.told(e.Said("caller", "when are you open", False, 2.0))
        end(call)
        live.remove(call)
        assert [kind for kind, _ in await next_of(view)] == ["calls", "said"]
        [(kind, data)] = await next_of(view)
        assert (kind, data["ended_by"]) == ("gone", "caller")
        with pytest.raises(StopAsyncIteration):
            await anext(view)


async def test_a_server_that_ends_ends_all_views() -> None:
    live = calls(1)
    (call,) = live
    views = [live.list(), live.one(call)]
    for view in views:
        await anext(view)
    live.close()
    for view in views:
        while True:
            try:
                await anext(view)
            except StopAsyncIteration:
                break
    assert live.viewers == 0


async def test_so_many_may_look() -> None:
    live = calls(1)
    views = [live.list() for _ in range(MAX_VIEWERS)]
    for view in views:
        assert not live.full
        await anext(view)
    assert live.full
    for view in views:
        await view.aclose()
    assert not live.full


async def test_a_call_is_found_by_either_id() -> None:
    live = calls(2)
    first, _ = live
    for name in (first.id, "CA1"):
        found = live.find(name)
        assert found
        assert found.call is first
    assert live.find("CA9") is None
