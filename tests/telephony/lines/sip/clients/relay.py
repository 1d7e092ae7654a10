"""A bad network between two ends on UDP: it loses packets, and delays others, so that they arrive out of order."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random
from typing import Any

from tests.telephony.lines.sip.clients.local import HOST

IN_A_ROW = 2  # the most packets lost: retransmissions arrive in the end


class _Way(asyncio.DatagramProtocol):
    """One direction: packets that arrive at this socket leave by the other one."""

    def __init__(self, random: Random, loss: float, late: float, late_ms: float) -> None:
        self.lost = self.delayed = self.passed = 0
        self.source: Any = None  # the sender of the last packet
        self.to: Any = None  # where packets of the other direction go; None: to the last sender
        self.other: _Way
        self._random = random
        self._loss, self._late, self._late_ms = loss, late, late_ms
        self._row = 0
        self._transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self._transport = transport

    @property
    def port(self) -> int:
        return int(self._transport.get_extra_info("sockname")[1])

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self.source = addr
        if self._row < IN_A_ROW and self._random.random() < self._loss:
            self.lost += 1
            self._row += 1
            return
        self._row = 0
        if self._random.random() < self._late:
            self.delayed += 1
            delay_s = self._random.uniform(0.2, 1) * self._late_ms / 1000
            asyncio.get_running_loop().call_later(delay_s, self.other.send, data)
        else:
            self.passed += 1
            self.other.send(data)

    def send(self, data: bytes) -> None:
        to = self.to or self.source
        if to is not None and not self._transport.is_closing():
            self._transport.sendto(data, to)

    def close(self) -> None:
        self._transport.close()


class Relay:
    """`port` stands in for the far end's port."""

    def __init__(self, near: _Way, far: _Way) -> None:
        self.near, self.far = near, far

    @property
    def port(self) -> int:
        """The port that the near end sends to."""
        return self.near.port

    def counts(self) -> list[tuple[int, int]]:
        """Packets lost and late, each way."""
        return [(way.lost, way.delayed) for way in (self.near, self.far)]


@asynccontextmanager
async def relay(to: int, *, seed: int, loss: float, late: float, late_ms: float) -> AsyncIterator[Relay]:
    """Relay between the sender and the port `to`, losing and delaying these shares of the packets each way."""
    loop = asyncio.get_running_loop()
    ways = [_Way(Random(seed + n), loss, late, late_ms) for n in range(2)]
    for way in ways:
        await loop.create_datagram_endpoint(lambda way=way: way, local_addr=(HOST, 0))  # type: ignore[misc]
    near, far = ways
    near.other, far.other, far.to = far, near, (HOST, to)
    try:
        yield Relay(near, far)
    finally:
        near.close()
        far.close()
