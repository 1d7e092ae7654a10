"""Hands tokens from the loop's thread to the asyncio tasks waiting for them, once per step."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncGenerator, Callable

from agent.engine.voxtral.loop import DecodeEvent, DecodeJob, DecodeLoop
from agent.exceptions import EngineError


class TokenStream:
    """The tokens of one job, at most its `max_tokens`."""

    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.queue: asyncio.Queue[int | EngineError | None] = asyncio.Queue()


class Streams:
    """The streams of all jobs of one decode loop."""

    def __init__(self, build: Callable[..., DecodeLoop]) -> None:
        """`build` makes the decode loop, given `deliver`."""
        self._streams: dict[DecodeJob, TokenStream] = {}
        self._loop = build(deliver=self._deliver)

    def start(self) -> None:
        """Start the decode loop; blocks until it is ready. Raises EngineError when it cannot."""
        self._loop.start()

    def close(self) -> None:
        """End it, and all streams with an error; blocks."""
        self._loop.close()

    async def tokens(self, job: DecodeJob) -> AsyncGenerator[int, None]:
        """The tokens of a job as they come; leaving the iterator cancels the job. Raises EngineError when
        it fails."""
        stream = self._streams[job] = TokenStream()
        ended = False
        try:
            self._loop.submit(job)
            while (what := await stream.queue.get()) is not None:
                if isinstance(what, EngineError):
                    raise what
                yield what
            ended = True
        finally:
            del self._streams[job]
            if not ended:
                self._loop.cancel(job)

    def cancel(self, job: DecodeJob) -> None:
        """Stop working on a job; its tokens end."""
        self._loop.cancel(job)
        if stream := self._streams.get(job):
            stream.queue.put_nowait(None)

    def _deliver(self, events: list[DecodeEvent]) -> None:
        """In the loop's thread."""
        by_loop: dict[asyncio.AbstractEventLoop, list[DecodeEvent]] = defaultdict(list)
        for event in events:
            if stream := self._streams.get(event.job):
                by_loop[stream.loop].append(event)
        for loop, theirs in by_loop.items():
            loop.call_soon_threadsafe(self._put, theirs)

    def _put(self, events: list[DecodeEvent]) -> None:
        for job, what in events:
            if stream := self._streams.get(job):
                stream.queue.put_nowait(what)
