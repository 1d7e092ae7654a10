"""The shared clock."""

import asyncio

import pytest

from telephony.caller.ticker import PERIOD, Ticker


async def test_everyone_is_called_once_a_period() -> None:
    ticker = Ticker()
    beats: list[list[float]] = []
    members = []
    for _ in range(25):
        beats.append([])
        members.append(ticker.add(beats[-1].append, ticker.clock()))
        await asyncio.sleep(0.0023)
    begun = ticker.clock()
    before = [len(times) for times in beats]
    await asyncio.sleep(0.3)
    lasted = ticker.clock() - begun
    counts = [len(times) - earlier for times, earlier in zip(beats, before, strict=True)]
    for member in members:
        ticker.remove(member)
    # A busy machine may be late, but nobody is called too often or forgotten.
    assert all(5 <= count <= lasted / PERIOD + 2 for count in counts), counts
    counts = [len(times) for times in beats]
    await asyncio.sleep(3 * PERIOD)
    assert [len(times) for times in beats] == counts


async def test_a_blocked_loop_is_caught_up_with_once() -> None:
    ticker = Ticker()
    beats: list[float] = []
    member = ticker.add(beats.append, ticker.clock())
    await asyncio.sleep(0.05)
    before = len(beats)
    blocked_until = ticker.clock() + 0.5
    while ticker.clock() < blocked_until:
        pass
    await asyncio.sleep(0.001)
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
