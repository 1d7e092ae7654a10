"""A model's events, read in a task of their own, so that a wait for the next one can be abandoned without harm to the
model."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Self

from agent.engine.base import ModelEvent

SILENT_S = 10.0  # without an event until the model counts as failed; `reply.timeout_s` should be longer
MAX_EVENTS = 256  # read ahead


class PatientReader:
    """One reply being read; to be used with `async with`, which ends it."""

    def __init__(self, events: AsyncGenerator[ModelEvent, None]) -> None:
        self._queue: asyncio.Queue[ModelEvent | Exception | None] = asyncio.Queue(MAX_EVENTS)
        self._begun = asyncio.Event()
        self._task = asyncio.create_task(self._read(events), name="read model")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    async def begins_within(self, seconds: float) -> bool:
        """Whether an event, an error or the end comes in time."""
        try:
            async with asyncio.timeout(seconds):
                await self._begun.wait()
        except TimeoutError:
            return False
        return True

    async def next(self) -> ModelEvent | None:
        """The next event; None at the end. Raises what the model raises, and TimeoutError."""
        async with asyncio.timeout(SILENT_S):
            event = await self._queue.get()
        if isinstance(event, Exception):
            raise event
        return event

    async def _read(self, events: AsyncGenerator[ModelEvent, None]) -> None:
        # One task from the first event to the last: a generator that is given a time limit or a socket needs that.
        end: Exception | None = None
        try:
            async with aclosing(events):
                async for event in events:
                    await self._queue.put(event)
                    self._begun.set()
        except Exception as error:  # noqa: BLE001 (a model may raise anything; `next` raises it)
            end = error
        await self._queue.put(end)
        self._begun.set()
