"""A small agent on SIP that speaks with a tone: the other side in the caller's tests, in the same event loop."""

import asyncio
from collections import deque
from typing import Any

import numpy as np

from audio.rate import FRAME
from config.sip import SipSettings
from telephony.lines.sip.dialogs.core import UserAgentConfig
from telephony.lines.sip.dialogs.events import Acked, Ended, Event, Invited, Reanswered, Send, TransferProgress
from telephony.lines.sip.dialogs.invite_dialog import Call
from telephony.lines.sip.dialogs.user_agent import UserAgent
from telephony.lines.sip.media.audio_line import Capabilities
from telephony.lines.sip.media.offer import Negotiation
from telephony.lines.sip.media.sockets import MediaSockets
from telephony.lines.sip.media.wire import Wire
from telephony.lines.sip.network.transport import Transports
from telephony.lines.sip.transactions.answers import Refusal

HOST = "127.0.0.1"
TONE = (np.sin(np.arange(8000 * 10) * 0.3) * 8000).astype("<i2").tobytes()
LOUD = 400  # a frame above this is the caller's voice


class Desk:
    """Greets for `greeting_ms`, answers 200 ms after the caller's last loud frame, and falls silent 80 ms into an
    interruption. `status` refuses calls, `mute` sends nothing at all, `deaf` speaks on."""

    def __init__(self, *, status: int = 200, greeting_ms: int = 400, mute: bool = False, deaf: bool = False) -> None:
        self.status, self.greeting_ms, self.mute, self.deaf = status, greeting_ms, mute, deaf
        self.events: list[Event] = []
        self.keys: list[str] = []
        self.heard: list[bytes] = []
        self.news = asyncio.Event()
        self.call: Call | None = None
        self.negotiation: Any = None
        self._frames: deque[bytes] = deque()
        self._loud = self._quiet = 0
        self._wire: Wire | None = None
        self._loop = asyncio.get_running_loop()
        self._transports = Transports(
            SipSettings(host=HOST, port=0),
            admit=lambda *_: True,
            receive=lambda message, source, _: self._do(self.ua.receive, message, source),
            malformed=lambda *_: None,
            unreachable=lambda to: self._do(self.ua.unreachable, to),
        )

    async def __aenter__(self) -> "Desk":
        await self._transports.open()
        self.ua = UserAgent(UserAgentConfig({kind: (HOST, port) for kind, port in self._transports.ports.items()}))
        self._task = asyncio.create_task(self._run())
        return self

    async def __aexit__(self, *_: object) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        if self._wire is not None:
            self._wire.close()
        await self._transports.close()

    def url(self, kind: str = "UDP") -> str:
        """The address to call it at."""
        return f"sip:desk@{HOST}:{self._transports.ports[kind]};transport={kind.lower()}"

    def speak(self, ms: int) -> None:
        """Speak for so many ms more."""
        self._frames.extend(TONE[at : at + 2 * FRAME] for at in range(0, ms * 16, 2 * FRAME))

    def hang_up(self) -> None:
        """The agent hangs up."""
        assert self.call
        self._do(self.call.hang_up)

    def refer(self, target: str) -> None:
        """The agent transfers the caller."""
        assert self.call
        assert "REFER" in self.call.peer_allows
        self._do(self.call.refer, target)

    def hold(self, body: bytes | None = None) -> None:
        """The agent offers other media."""
        assert self.call
        self.negotiation.direction = "sendonly"
        self._do(self.call.reinvite, self.negotiation.offer() if body is None else body)

    async def wait(self, kind: type) -> Any:
        """The first event of a kind."""
        async with asyncio.timeout(10):
            while True:
                for event in self.events:
                    if isinstance(event, kind):
                        return event
                self.news.clear()
                await self.news.wait()

    def _do(self, what: Any, *arguments: Any) -> None:
        what(*arguments, 1000 * self._loop.time())
        while items := self.ua.take():
            for item in items:
                if isinstance(item, Send):
                    self._transports.send(item.data, item.to)
                else:
                    self._told(item)

    def _told(self, event: Event) -> None:
        self.events.append(event)
        self.news.set()
        now_ms = 1000 * self._loop.time()
        match event:
            case Invited() if self.status >= 300:
                self.ua.inbound(event.call).reject(Refusal(self.status, "as the test wants"), now_ms)
            case Invited() if self.status == 200:
                sockets = MediaSockets(HOST, 33_000, 34_999)
                self.negotiation = Negotiation(Capabilities(address=HOST, port=sockets.port))
                answer, agreed = self.negotiation.answer(event.body)
                self.call = call = self.ua.inbound(event.call)
                self._wire = Wire(sockets, self._next, self.keys.append, nat=False)
                self._wire.agree(agreed)
                call.accept(answer, now_ms)
            case Acked():
                self.speak(self.greeting_ms)
            case Reanswered() if event.status < 300:
                assert self._wire
                self._wire.agree(self.negotiation.read_answer(event.body))
            case Ended() if self._wire is not None:
                self._wire.close()
                self._wire = None
            case TransferProgress() if event.final:
                assert self.call
                self.call.hang_up(now_ms)

    def _next(self) -> bytes | None:
        return self._frames.popleft() if self._frames else None

    def _listen(self, pcm: bytes) -> None:
        self.heard.append(pcm)
        if np.abs(np.frombuffer(pcm, "<i2")).max() > LOUD:
            self._loud, self._quiet = self._loud + 1, 0
            if self._loud == 4 and not self.deaf:
                self._frames.clear()
            return
        self._quiet += 1
        if self._quiet == 10:
            answer, self._loud = self._loud >= 4, 0
            if answer:
                self.speak(400)

    async def _run(self) -> None:
        due = self._loop.time()
        while True:
            due += 0.02
            await asyncio.sleep(max(0.0, due - self._loop.time()))
            self._do(self.ua.timers)
            if self._wire is not None and not self.mute:
                now_ms = 1000 * self._loop.time()
                self._wire.send(now_ms)
                pcm = self._wire.hear(now_ms)
                if pcm is not None:
                    self._listen(pcm)
