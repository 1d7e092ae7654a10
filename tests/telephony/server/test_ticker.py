"""The clock of all calls."""

import asyncio

import pytest

from telephony.server.ticker import WATCH_S, Ticker


async def run_until(ticker: Ticker, done: asyncio.Event) -> None:
    task = asyncio.create_task(ticker.run())
    async with asyncio.timeout(10):
        await done.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_it_ticks_with_rising_time_watches_now_and_then_and_tells_its_lateness() -> None:
    ticks: list[float] = []
    watches: list[float] = []
    late: list[float] = []
    done = asyncio.Event()

    def watch(now_ms: float) -> None:
        watches.append(now_ms)
        if len(watches) == 2:
            done.set()

    await run_until(Ticker(ticks.append, watch, late.append), done)
    assert len(ticks) == len(late) > 10
    assert ticks == sorted(ticks)
    assert watches == [ticks[0], ticks[-1]]
    assert watches[1] - watches[0] >= 1000 * WATCH_S
    assert min(late) > -0.005


async def test_a_tick_that_fails_is_logged_and_the_next_one_comes(caplog: pytest.LogCaptureFixture) -> None:
    count = 0
    done = asyncio.Event()

    def tick(_: float) -> None:
        nonlocal count
        count += 1
        if count == 3:
            done.set()
        raise ValueError("a bug")

    await run_until(Ticker(tick, lambda _: None, lambda _: None), done)
    assert caplog.text.count("a tick failed") == 3


async def test_ticks_that_were_missed_are_not_made_up_for() -> None:
    ticks: list[float] = []
    done = asyncio.Event()
    loop = asyncio.get_running_loop()

    def tick(now_ms: float) -> None:
        ticks.append(now_ms)
        if len(ticks) == 1:
            end = loop.time() + 0.2  # somebody holds the loop up for 20 ticks
            while loop.time() < end:
                pass
        if len(ticks) == 12:
            done.set()

    await run_until(Ticker(tick, lambda _: None, lambda _: None), done)
    assert ticks[-1] - ticks[1] >= 50  # the ten ticks after it kept their distance, but for one or two
