"""The calls of one server that are on, and the list of them that operators watch.

While somebody does, one task looks at all calls four times a second and makes one JSON of what has changed, whoever
reads it. Viewers keep no queues: one who has missed a change is given everything as it is then.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing, contextmanager, suppress

from telephony.live.acts import Acts
from telephony.live.follower import Follower
from telephony.live.live_call import LiveCall
from telephony.live.view import AWAKE, AWAKE_S, LOOK_S, Calls, CallView, event
from telephony.records import call_id

GONE_S = 15.0  # for which the end of a call is repeated to whoever may have missed it; slower viewers are closed
MAX_GONE = 2000
MAX_VIEWERS = 64  # of lists and single calls

logger = logging.getLogger("voxline.live")


class LiveCalls:
    """Of one server."""

    def __init__(self) -> None:
        self.viewers = 0  # of everything: lists and single calls
        self.ids = call_id.CallIds()  # for calls that are not on record
        self._calls: dict[str, Acts] = {}
        self._lists = 0
        self._looking: asyncio.Task[None] | None = None
        self._seen: dict[str, CallView] = {}
        self._gone: deque[tuple[float, str]] = deque(maxlen=MAX_GONE)  # when they went, by the monotonic clock
        self._version = 0  # of the list, one for each change
        self._change = b""  # what the last version has changed
        self._whole: tuple[int, bytes] = (-1, b"")  # a version, and all there was then
        self._next = asyncio.Event()
        self._over = False

    def __iter__(self) -> Iterator[LiveCall]:
        return (acts.call for acts in self._calls.values())

    def __len__(self) -> int:
        return len(self._calls)

    @property
    def full(self) -> bool:
        """Whether so many people look that nobody else can."""
        return self.viewers >= MAX_VIEWERS

    def add(self, acts: Acts) -> None:
        """A call begins, on which operators may act."""
        self._calls[acts.call.id] = acts

    def remove(self, call: LiveCall) -> None:
        """It is over."""
        if self._calls.pop(call.id, None):
            call.close()
            if self._lists:
                self._gone.append((time.monotonic(), call.id))

    def find(self, name: str) -> Acts | None:
        """The call with this id, or with this id in the log."""
        if acts := self._calls.get(name):
            return acts
        return next((acts for acts in self._calls.values() if acts.call.line.call_id == name), None)

    async def list(self) -> AsyncGenerator[bytes, None]:
        """The list, as server-sent events."""
        with self.viewing():
            self._enter()
            try:
                seen = self._version
                yield self._everything()
                while not self._over:
                    if self._version == seen and not await self._news():
                        yield AWAKE
                    elif self._version != seen:
                        missed, seen = self._version - seen > 1, self._version
                        yield self._everything() if missed else self._change
            finally:
                self._leave()

    async def one(self, call: LiveCall) -> AsyncGenerator[bytes, None]:
        """One call, as server-sent events."""
        with self.viewing():
            async with aclosing(Follower(call).events()) as events:
                async for item in events:
                    yield item
                    if self._over:
                        return

    @contextmanager
    def viewing(self) -> Iterator[None]:
        """Somebody looks or listens meanwhile."""
        self.viewers += 1
        try:
            yield
        finally:
            self.viewers -= 1

    def close(self) -> None:
        """The server ends: so do all views."""
        self._over = True
        self._tell()

    # Looking

    def _enter(self) -> None:
        self._lists += 1
        if self._looking is None:
            self._look()
            self._looking = asyncio.create_task(self._keep_looking(), name="live calls")

    def _leave(self) -> None:
        self._lists -= 1
        if self._lists == 0 and self._looking:
            self._looking.cancel()
            self._looking = None
            self._seen.clear()
            self._gone.clear()

    async def _news(self) -> bool:
        """Wait for a change; False if there is none for a while."""
        with suppress(TimeoutError):
            async with asyncio.timeout(AWAKE_S):
                await self._next.wait()
            return True
        return False

    def _tell(self) -> None:
        news, self._next = self._next, asyncio.Event()
        news.set()

    async def _keep_looking(self) -> None:
        while True:
            await asyncio.sleep(LOOK_S)
            try:
                self._look()
            except Exception:  # a bug that one call shows blinds nobody to the others for good
                logger.exception("the live calls cannot be shown")

    def _look(self) -> None:
        """Find what has changed since the last look."""
        views = {call.id: call.view() for call in self}
        changed = [view for number, view in views.items() if view != self._seen.get(number)]
        gone = [number for number in self._seen if number not in views]
        self._seen = views
        if changed or gone:
            self._version += 1
            self._change = event("calls", Calls(_now_ms(), changed, gone))
            self._tell()

    def _everything(self) -> bytes:
        """All calls as the last look has seen them, and those that ended lately: made once for all who need it."""
        if self._whole[0] != self._version:
            since = time.monotonic() - GONE_S
            gone = [number for at_s, number in self._gone if at_s >= since]
            self._whole = self._version, event("calls", Calls(_now_ms(), list(self._seen.values()), gone))
        return self._whole[1]


def _now_ms() -> int:
    return round(1000 * time.time())
