"""Waiting for conditions that have no event, and for a server in this process."""

import asyncio
import inspect
import time
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from telephony.server.draining import DrainingServer

WAIT_S = 20  # for anything a test waits for; far more than it should take
LOOK_S = 0.01


async def until(condition: Callable[[], Any | Awaitable[Any]], wait_s: float = WAIT_S) -> Any:
    """Wait until the condition holds, and return its value; it may be a coroutine. Raises TimeoutError."""
    async with asyncio.timeout(wait_s):
        while True:
            found = condition()
            if inspect.isawaitable(found):
                found = await found
            if found:
                return found
            await asyncio.sleep(LOOK_S)


def until_here(condition: Callable[[], Any], wait_s: float = WAIT_S) -> Any:
    """The same without an event loop."""
    end = time.monotonic() + wait_s
    while not (found := condition()):
        if time.monotonic() > end:
            raise TimeoutError
        time.sleep(LOOK_S)
    return found


@asynccontextmanager
async def running(server: "DrainingServer") -> AsyncGenerator[int, None]:
    """Run a server in this process; yields its port."""
    task = asyncio.create_task(server.serve())
    await until(lambda: server.started or task.done())
    if task.done():
        await task
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await task
