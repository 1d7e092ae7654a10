"""Waiting for what nobody tells of, and for a server in this process."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

from telephony.server.draining import DrainingServer

WAIT_S = 20  # for anything a test waits for; far more than it should take


async def until(condition: Callable[[], Any], wait_s: float = WAIT_S) -> None:
    """Wait until it holds. TimeoutError where it does not."""
    async with asyncio.timeout(wait_s):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)


@asynccontextmanager
async def running(server: DrainingServer) -> AsyncGenerator[int, None]:
    """A server of this process; gives its port."""
    task = asyncio.create_task(server.serve())
    await until(lambda: server.started or task.done())
    if task.done():
        await task
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await task
