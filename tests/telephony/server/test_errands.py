"""Errands: what people ask for, done in threads of its own."""

import asyncio
import threading

from telephony.server.errands import THREADS, Errands


async def test_what_comes_of_it_comes_back_from_another_thread() -> None:
    errands = Errands()
    assert await errands.run(max, 1, 2) == 2
    assert (await errands.run(threading.current_thread)).name.startswith("errands")


async def test_whatever_hangs_keeps_no_engine_waiting() -> None:
    errands, end = Errands(), threading.Event()
    hanging = [asyncio.create_task(errands.run(end.wait, 20)) for _ in range(2 * THREADS)]
    assert await asyncio.to_thread(max, 1, 2) == 2  # where the engines' work is done
    assert not any(task.done() for task in hanging)
    end.set()
    assert await asyncio.gather(*hanging) == [True] * len(hanging)
