import asyncio

import pytest

from agent.engine.voxtral.loop import DecodeEvent, DecodeJob
from agent.engine.voxtral.streams import Streams
from agent.exceptions import EngineError


class Loop:
    """A decode loop that does nothing by itself."""

    def __init__(self, deliver: object) -> None:
        self.jobs: list[DecodeJob] = []
        self.cancelled: list[DecodeJob] = []

    def submit(self, job: DecodeJob) -> None:
        if job.id == "too many":
            raise EngineError("too many")
        self.jobs.append(job)

    def cancel(self, job: DecodeJob) -> None:
        self.cancelled.append(job)


@pytest.fixture
def streams() -> Streams:
    return Streams(Loop)  # type: ignore[arg-type]


def step(streams: Streams, *events: DecodeEvent) -> None:
    """What the loop's thread does after a step."""
    streams._deliver(list(events))


async def collect(streams: Streams, job: DecodeJob) -> list[int]:
    return [token async for token in streams.tokens(job)]


async def test_a_step_of_all_jobs_is_one_hand_over(streams: Streams, monkeypatch: pytest.MonkeyPatch) -> None:
    loop = asyncio.get_running_loop()
    jobs = [DecodeJob(str(n), [1]) for n in range(3)]
    tasks = [asyncio.create_task(collect(streams, job)) for job in jobs]
    await asyncio.sleep(0)
    wake, handed = loop.call_soon_threadsafe, []

    def hand_over(function: object, *arguments: object, **options: object) -> object:
        handed.append(function)
        return wake(function, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(loop, "call_soon_threadsafe", hand_over)
    for token in (5, 6):
        await asyncio.to_thread(step, streams, *(DecodeEvent(job, token) for job in jobs))
    assert handed.count(streams._put) == 2
    step(streams, *(DecodeEvent(job, None) for job in jobs))
    assert await asyncio.gather(*tasks) == [[5, 6]] * 3
    assert streams._loop.cancelled == []  # type: ignore[attr-defined]


async def test_an_error_ends_a_stream(streams: Streams) -> None:
    job = DecodeJob("a", [1])
    task = asyncio.create_task(collect(streams, job))
    await asyncio.sleep(0)
    step(streams, DecodeEvent(job, 1), DecodeEvent(job, EngineError("broken")))
    with pytest.raises(EngineError, match="broken"):
        await task
    assert not streams._streams


async def test_a_job_that_is_refused_leaves_nothing(streams: Streams) -> None:
    with pytest.raises(EngineError, match="too many"):
        await collect(streams, DecodeJob("too many", [1]))
    assert not streams._streams


async def test_cancelling_ends_a_stream_and_the_job(streams: Streams) -> None:
    job = DecodeJob("a", [1])
    task = asyncio.create_task(collect(streams, job))
    await asyncio.sleep(0)
    step(streams, DecodeEvent(job, 1))
    streams.cancel(job)
    assert await task == []  # what was on its way is not wanted
    step(streams, DecodeEvent(job, 2))
    streams.cancel(job)
    assert job in streams._loop.cancelled  # type: ignore[attr-defined]


async def test_a_reader_that_goes_away_cancels_its_job(streams: Streams) -> None:
    job = DecodeJob("a", [1])
    task = asyncio.create_task(collect(streams, job))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert streams._loop.cancelled == [job]  # type: ignore[attr-defined]
    assert not streams._streams
