"""Threads for what people ask for: pages, passwords, files. Engines have others, so that no call waits for a page,
however slow the disk is."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar, TypeVarTuple

THREADS = 6

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Errands:
    """Of one server. Its threads begin when they are needed."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(THREADS, thread_name_prefix="errands")

    async def run(self, work: Callable[[*Ts], T], *arguments: *Ts) -> T:
        """What becomes of it; waits for a thread if all are busy."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work, *arguments)
