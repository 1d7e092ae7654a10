"""The shared clock."""

import asyncio

import pytest

from telephony.simulator.ticker import PERIOD, Ticker


@pytest.mark.looptime
async def test_everyone_is_called_once_a_period() -> None:
    ticker = Ticker(asyncio.get_running_loop().time)
    beats: list[list[float]] = []
    members = []
    for _ in range(25):
        beats.append([])
        members.append(ticker.add(beats[-1].append, ticker.clock()))
        await asyncio.sleep(0.0023)
    before = [len(times) for times in beats]
    await asyncio.sleep(15 * PERIOD)
    assert {len(times) - earlier for times, earlier in zip(beats, before, strict=True)} <= {14, 15, 16}
    for member in members:
        ticker.remove(member)
    counts = [len(times) for times in beats]
    await asyncio.sleep(3 * PERIOD)
    assert [len(times) for times in beats] == counts


@pytest.mark.looptime
async def test_a_blocked_loop_is_caught_up_with_once() -> None:
    blocked_s = 0.0
    loop = asyncio.get_running_loop()
    ticker = Ticker(lambda: loop.time() + blocked_s)
    beats: list[float] = []
    member = ticker.add(beats.append, ticker.clock())
    await asyncio.sleep(2.5 * PERIOD)
    before = len(beats)
    blocked_s = 0.5
    await asyncio.sleep(0.9 * PERIOD)
    assert 1 <= len(beats) - before <= 2  # not 25 times
    ticker.remove(member)
    ticker.remove(member)


async def test_beats_come_just_after_their_time() -> None:
    now = 100.0
    ticker = Ticker(clock=lambda: now)
    beats: list[float] = []
    member = ticker.add(lambda time: beats.append(time - 100.007), 100.007)
    for _ in range(60):
        now += 0.001
        ticker._beat()
    assert beats[-3:] == pytest.approx([0.002, 0.022, 0.042], abs=0.0015)
    assert min(beat % PERIOD for beat in beats) > 0
    ticker.remove(member)
