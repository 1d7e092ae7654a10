"""Costly work in a process of its own, one at a time: calls share this process's interpreter, and must not notice."""

import asyncio
import os
from collections.abc import Callable
from multiprocessing import get_context
from multiprocessing.connection import Connection
from typing import Any, TypeVar

from config.exceptions import VoxlineError
from telephony.server.errands import Errands

WAITING = 4  # who may wait for their turn
NICE = 10

T = TypeVar("T")
_CONTEXT = get_context("spawn")


class AsideError(VoxlineError):
    """It was not done: too many wait, it took too long, or it failed; the message says which."""


class Aside:
    """Of one server."""

    def __init__(self, errands: Errands, limit_s: float = 60.0) -> None:
        """Each piece of work may take `limit_s`, and is then killed."""
        self._errands = errands
        self._limit_s = limit_s
        self._slot = asyncio.Semaphore(1)
        self._waiting = 0

    async def run(self, work: Callable[..., T], *arguments: Any) -> T:
        """What a function of a module makes of its arguments, all of which can be pickled. Raises AsideError."""
        if self._waiting > WAITING:
            raise AsideError("too many others are waiting for such pages; try again in a minute")
        self._waiting += 1
        try:
            async with self._slot:
                done: T = await self._run(work, arguments)
                return done
        finally:
            self._waiting -= 1

    async def _run(self, work: Callable[..., Any], arguments: tuple[Any, ...]) -> Any:
        ours, theirs = _CONTEXT.Pipe(duplex=False)
        process = _CONTEXT.Process(target=_child, args=(theirs, work, arguments), daemon=True, name="voxline aside")
        reading: asyncio.Future[tuple[str, Any]] | None = None
        try:
            await self._errands.run(process.start)
            theirs.close()
            reading = asyncio.ensure_future(self._errands.run(ours.recv))  # it ends when the process does
            async with asyncio.timeout(self._limit_s):
                error, value = await asyncio.shield(reading)
        except TimeoutError:
            raise AsideError(f"it took longer than {self._limit_s:g} s") from None
        except (EOFError, OSError):
            raise AsideError("the process that was to do it has ended") from None
        finally:
            if process.pid is not None:
                process.kill()
                await self._errands.run(process.join)
                process.close()
            if reading is not None:
                await asyncio.gather(reading, return_exceptions=True)  # nobody reads what is closed
            ours.close()
            theirs.close()
        if error:
            raise AsideError(error)
        return value


def _child(out: Connection, work: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
    os.nice(NICE)
    try:
        out.send(("", work(*arguments)))
    except VoxlineError as error:
        out.send((str(error), None))
    except Exception as error:  # noqa: BLE001 (whoever asked is told)
        out.send((f"{type(error).__name__}: {error}", None))
