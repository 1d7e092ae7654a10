"""Events whose session descriptions name hosts: they wait until the addresses are resolved, or cannot be.

Later events of the same call wait as well, to keep their order.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Callable

import msgspec

from telephony.lines.sip.dialogs.events import (
    Acked,
    Answered,
    Ended,
    Event,
    Info,
    Invited,
    Progress,
    Reinvited,
    ReinviteWithdrawn,
    TransferProgress,
)
from telephony.lines.sip.media.hosts import named, with_addresses
from telephony.lines.sip.network.locator import LocateError, Locator

LOOKUP_S = 2.0  # in which the caller hears nothing
MOST_CALLS = 64  # waiting at once; the descriptions of others are passed on as they are, and refused
MOST_WAITING = 32  # events of one call; beyond that, keys are lost

Described = Invited | Answered | Acked | Reinvited
OfCall = Described | Progress | Info | TransferProgress | Ended | ReinviteWithdrawn

logger = logging.getLogger("voxline.sip")


class Naming:
    """`tell` gets the events afterwards; `rings` says whether a call, by its id, is still unanswered."""

    def __init__(self, locator: Locator, tell: Callable[[Event], None], *, rings: Callable[[str], bool]) -> None:
        self._locator = locator
        self._rings = rings
        self._tell = tell
        self._waiting: dict[str, deque[OfCall]] = {}  # by call
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def holds(self, event: Event) -> bool:
        """Whether an event is held back, to be told later."""
        if not isinstance(event, OfCall):
            return False
        waiting = self._waiting.get(event.call)
        if waiting is None:
            if not isinstance(event, Described) or not named(event.body) or len(self._waiting) >= MOST_CALLS:
                return False
            self._waiting[event.call] = deque([event])
            task = self._tasks[event.call] = asyncio.get_running_loop().create_task(self._run(event.call))
            task.add_done_callback(lambda _: self._tasks.pop(event.call, None))
        elif isinstance(event, ReinviteWithdrawn):
            for offer in [item for item in waiting if isinstance(item, Reinvited)]:
                waiting.remove(offer)
        elif len(waiting) < MOST_WAITING or not isinstance(event, Info | Progress):
            waiting.append(event)
        return True

    def close(self) -> None:
        """The server ends."""
        for task in list(self._tasks.values()):
            task.cancel()
        self._waiting.clear()

    async def _run(self, call: str) -> None:
        waiting = self._waiting[call]
        try:
            while waiting:
                event = first = waiting[0]
                if isinstance(event, Described) and (names := named(event.body)):
                    addresses = await self._addresses(call, names)
                    event = msgspec.structs.replace(event, body=with_addresses(event.body, addresses))
                if not waiting or waiting[0] is not first:
                    continue  # it was withdrawn
                waiting.popleft()
                if not isinstance(event, Invited) or self._rings(call):
                    self._tell(event)
        finally:
            self._waiting.pop(call, None)

    async def _addresses(self, call: str, names: list[str]) -> dict[str, str]:
        """The addresses of the names that have one."""
        found = await asyncio.gather(*(self._address(call, name) for name in names))
        return {name: ip for name, ip in zip(names, found, strict=True) if ip}

    async def _address(self, call: str, name: str) -> str:
        """The address of one name; "" if it has none, or DNS does not answer in time."""
        try:
            async with asyncio.timeout(LOOKUP_S):
                return await self._locator.ip(name)
        except (LocateError, TimeoutError) as error:
            why = str(error) or f"{name}: no DNS server has answered in {LOOKUP_S:g} s"
            logger.warning("a host in a session description has no address: %s", why, extra={"call": call})
            return ""
