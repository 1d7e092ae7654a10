"""Outgoing messages: to an IP address at once, to a host name once it is resolved."""

import asyncio
from collections import OrderedDict
from collections.abc import Callable

import msgspec

from telephony.lines.sip.network.locator import LocateError, Locator, is_ip
from telephony.lines.sip.network.transport import Transports
from telephony.lines.sip.syntax.address import Address

KEPT_S = 60.0  # for which a DNS answer is kept: for retransmissions, and the rest of a call
MOST_NAMES = 256
MOST_WAITING = 16  # messages waiting for one name


class _Found(msgspec.Struct):
    where: Address
    until_s: float


class Outbox:
    """`failed` gets each address that could not be sent to, as it was given to `send`; `expect` gets the addresses that
    our requests by UDP go to."""

    def __init__(
        self,
        transports: Transports,
        locator: Locator,
        *,
        expect: Callable[[Address], None],
        failed: Callable[[Address], None],
    ) -> None:
        self._transports = transports
        self._locator = locator
        self._expect = expect
        self._failed = failed
        self._found: OrderedDict[Address, _Found] = OrderedDict()
        self._waiting: dict[Address, list[bytes]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def send(self, data: bytes, to: Address) -> None:
        """Send one message."""
        if is_ip(to.host) or to.connection in self._transports.connections:
            self._give(data, to)
        elif (found := self._found.get(to)) and found.until_s > asyncio.get_running_loop().time():
            self._give(data, found.where)
        elif to in self._waiting:
            if len(self._waiting[to]) < MOST_WAITING:
                self._waiting[to].append(data)
        elif len(self._waiting) < MOST_NAMES:
            self._waiting[to] = [data]
            task = asyncio.get_running_loop().create_task(self._look_up(to), name="look up")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    def unreachable(self, where: Address) -> None:
        """Sending there failed: report the names that resolved to it too."""
        self._failed(where)
        for to in [to for to, found in self._found.items() if found.where == where]:
            del self._found[to]
            self._failed(to)

    def close(self) -> None:
        """Cancel all lookups."""
        for task in self._tasks:
            task.cancel()

    async def _look_up(self, to: Address) -> None:
        try:
            where = await self._locator.nearest(to)
        except LocateError:
            del self._waiting[to]
            self._failed(to)
            return
        self._found[to] = _Found(where, asyncio.get_running_loop().time() + KEPT_S)
        if len(self._found) > MOST_NAMES:
            self._found.popitem(last=False)
        for data in self._waiting.pop(to):
            self._give(data, where)

    def _give(self, data: bytes, to: Address) -> None:
        if to.transport == "UDP" and not data.startswith(b"SIP/"):
            self._expect(to)
        self._transports.send(data, to)
