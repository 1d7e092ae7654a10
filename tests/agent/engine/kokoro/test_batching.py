"""Who is spoken next, and with whom."""

import asyncio
import threading

import pytest
import torch

from agent.engine.kokoro.batching import MAX_PADDED, BatchQueue, SynthesisJob, is_first
from agent.engine.kokoro.forward import SynthesisInput
from agent.exceptions import EngineError


def job(request: str, size: int = 10) -> SynthesisJob:
    loop = asyncio.get_running_loop()
    return SynthesisJob(
        request, SynthesisInput((1,) * size, torch.zeros(1, 256)), is_first(request), loop.create_future()
    )


def put(waiting: BatchQueue, *jobs: SynthesisJob) -> None:
    for each in jobs:
        waiting.put([each])


def requests(jobs: list[SynthesisJob]) -> list[str]:
    return [each.request for each in jobs]


@pytest.mark.parametrize(
    ("request_id", "first"), [("CA1/3.0", True), ("CA1/3.1", False), ("CA1/3.10", False), ("CA1/0.1", False)]
)
def test_the_first_chunk_of_a_reply(request_id: str, first: bool) -> None:
    assert is_first(request_id) is first


async def test_first_chunks_overtake_and_the_others_keep_their_order() -> None:
    waiting = BatchQueue(10, batch=1)
    put(waiting, job("a/1.1"), job("a/1.2"), job("b/1.0"), job("a/1.3"), job("c/1.0"))
    taken = [requests(waiting.take()) for _ in range(5)]
    assert taken == [["b/1.0"], ["c/1.0"], ["a/1.1"], ["a/1.2"], ["a/1.3"]]


async def test_texts_of_about_one_length_go_together() -> None:
    waiting = BatchQueue(10, batch=3)
    put(waiting, job("a/1.1", 100), job("b/1.0", 10), job("c/1.1", 22), job("d/1.1", 23), job("e/1.2", 140))
    put(waiting, job("f/1.3", 80), job("g/1.3", 90))
    assert requests(waiting.take()) == ["b/1.0", "c/1.1"]  # a short first chunk is not held up by long ones
    assert requests(waiting.take()) == ["a/1.1", "e/1.2", "f/1.3"]  # no more than a batch
    assert requests(waiting.take()) == ["d/1.1"]
    assert requests(waiting.take()) == ["g/1.3"]


async def test_a_run_of_long_texts_is_bounded() -> None:
    waiting = BatchQueue(10, batch=8)
    put(waiting, *(job(f"a/1.{number + 1}", 510) for number in range(8)))
    assert len(waiting.take()) == MAX_PADDED // 510


async def test_a_full_queue_turns_the_newest_away() -> None:
    waiting = BatchQueue(3, batch=1)
    put(waiting, job("a/1.1"), job("a/1.2"))
    with pytest.raises(EngineError, match=r"2 chunks wait already.*engine\.kokoro\.waiting"):
        waiting.put([job("b/1.0"), job("b/1.0")])
    waiting.put([job("c/1.0")])
    assert [requests(waiting.take()) for _ in range(3)] == [["c/1.0"], ["a/1.1"], ["a/1.2"]]


async def test_what_is_dropped_makes_room() -> None:
    waiting = BatchQueue(2, batch=1)
    put(waiting, job("a/1.1"), job("b/1.1"))
    waiting.drop("a/1.1")
    waiting.drop("unknown")
    put(waiting, job("c/1.1"))
    assert [requests(waiting.take()) for _ in range(2)] == [["b/1.1"], ["c/1.1"]]


async def test_closing_ends_the_wait() -> None:
    waiting = BatchQueue(2, batch=1)
    taken: list[list[SynthesisJob]] = []
    thread = threading.Thread(target=lambda: taken.append(waiting.take()))
    thread.start()
    waiting.close()
    thread.join(10)
    assert taken == [[]]
    with pytest.raises(EngineError, match="closed"):
        waiting.put([job("a/1.0")])


async def test_a_result_for_a_loop_that_is_gone_is_thrown_away() -> None:
    def make() -> SynthesisJob:
        async def inside() -> SynthesisJob:
            return job("a/1.0")

        return asyncio.run(inside())

    old = await asyncio.to_thread(make)
    old.deliver(EngineError("late"))
    assert not old.result.done()
