"""A called party on a real UDP socket, for tests: answers, rings, refuses, or stays silent."""

import asyncio
from collections.abc import Callable
from typing import Any, Self

from telephony.lines.sip.dialogs.core import UserAgentConfig
from telephony.lines.sip.dialogs.events import Acked, Ended, Invited, Reinvited, Send
from telephony.lines.sip.dialogs.uas import UasCall
from telephony.lines.sip.dialogs.user_agent import UserAgent
from telephony.lines.sip.media.audio_line import Capabilities
from telephony.lines.sip.media.offer import Negotiation
from telephony.lines.sip.syntax.address import Address
from telephony.lines.sip.syntax.message import Message, Request, parse
from telephony.lines.sip.transactions.answers import Refusal

HOST = "127.0.0.1"
WAIT_S = 15


class Callee(asyncio.DatagramProtocol):
    """`act(call)` is what it does when its phone rings; the default answers. It sends no audio."""

    def __init__(
        self,
        act: Callable[["Callee", UasCall], None] | None = None,
        *,
        admit: Any = None,
        contact: str = HOST,
    ) -> None:
        self.requests: list[Request] = []
        self.ended: list[Ended] = []
        self.acked = False
        self.silent = False
        self.call: UasCall | None = None
        self._act = act or Callee.answer
        self._admit = admit
        self._contact = contact
        self._offer = b""
        self._negotiation = Negotiation(Capabilities(address=HOST, port=40_000, secure="off"))
        self._news = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._transport: Any = None

    async def __aenter__(self) -> Self:
        return await self.open()

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def open(self) -> Self:
        self._transport, _ = await self._loop.create_datagram_endpoint(lambda: self, local_addr=(HOST, 0))
        self.port = self._transport.get_extra_info("sockname")[1]
        self._ua = UserAgent(UserAgentConfig({"UDP": (self._contact, self.port)}), admit=self._admit)
        self._clock = asyncio.create_task(self._run())
        return self

    async def close(self) -> None:
        self._clock.cancel()
        await asyncio.gather(self._clock, return_exceptions=True)
        self._transport.close()

    @property
    def uri(self) -> str:
        return f"sip:bob@{HOST}:{self.port}"

    # What it may do

    def answer(self, call: UasCall) -> None:
        call.accept(self._negotiation.answer(self._offer)[0], self.now_ms())

    def ring(self, call: UasCall) -> None:
        call.ringing(self.now_ms())

    def hang_up(self) -> None:
        assert self.call
        self.call.hang_up(self.now_ms())
        self._flush()

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(WAIT_S):
            while not condition():
                self._news.clear()
                await self._news.wait()

    def methods(self) -> list[str]:
        return [request.method for request in self.requests]

    def now_ms(self) -> float:
        return 1000 * self._loop.time()

    # Inside

    def datagram_received(self, data: bytes, addr: Any) -> None:
        message: Message = parse(data)
        if isinstance(message, Request):
            self.requests.append(message)
        if not self.silent:
            self._ua.receive(message, Address("UDP", *addr), self.now_ms())
            self._flush()
        self._news.set()

    def _flush(self) -> None:
        while items := self._ua.take():
            for item in items:
                if isinstance(item, Send):
                    self._transport.sendto(item.data, (item.to.host, item.to.port))
                elif isinstance(item, Invited):
                    self.call, self._offer = self._ua.inbound(item.call), item.body
                    self._act(self, self.call)
                elif isinstance(item, Acked):
                    self.acked = True
                elif isinstance(item, Ended):
                    self.ended.append(item)
                assert not isinstance(item, Reinvited)
        self._news.set()

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(0.01)
            self._ua.timers(self.now_ms())
            self._flush()


def reject(status: int) -> Callable[[Callee, UasCall], None]:
    """Turn every call away."""
    return lambda callee, call: call.reject(Refusal(status, "as the test wants"), callee.now_ms())


def challenge(status: int, digest: Any) -> Callable[..., Refusal | None]:
    """Ask for a password: 401 as a server does, 407 as a proxy."""
    asks, answers = {401: ("WWW-Authenticate", "Authorization"), 407: ("Proxy-Authenticate", "Proxy-Authorization")}[
        status
    ]

    def admit(request: Request, source: Address, now_ms: float) -> Refusal | None:
        header = request.headers.get(answers)
        if header and type(digest.check("INVITE", request.uri, header, now_ms, source.host)).__name__ == "Accepted":
            return None
        challenges = digest.challenge(now_ms, source.host)
        return Refusal(status, "no password", tuple((asks, value) for value in challenges))

    return admit
