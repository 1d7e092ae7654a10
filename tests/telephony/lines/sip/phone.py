"""A SIP phone over real sockets, for tests: the user agent as the caller, with media recorded packet by packet."""

import asyncio
import re
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import numpy as np

from agent.engine.base import Engine
from audio.rate import FRAME
from config.settings import Settings, load_settings
from telephony.lines.rtp import packet
from telephony.lines.rtp.codec import PCMA, PCMU, Codec
from telephony.lines.rtp.media import Media
from telephony.lines.rtp.packet import Packet
from telephony.lines.sip.dialogs.core import UserAgentConfig
from telephony.lines.sip.dialogs.events import (
    Acked,
    Answered,
    Ended,
    Event,
    Reanswered,
    Referred,
    Reinvited,
    Send,
    TransferProgress,
)
from telephony.lines.sip.dialogs.exchange import Credentials
from telephony.lines.sip.dialogs.uac import Outgoing, UacCall
from telephony.lines.sip.dialogs.user_agent import UserAgent
from telephony.lines.sip.media import sockets
from telephony.lines.sip.media.audio_line import Capabilities
from telephony.lines.sip.media.offer import Negotiation
from telephony.lines.sip.media.sockets import MediaSockets
from telephony.lines.sip.syntax.address import Address
from telephony.lines.sip.syntax.header import NameAddr, parse_uri
from telephony.lines.sip.syntax.message import KeepAlive, Message, StreamParser, parse
from telephony.server.app import App
from tests.waiting import until

HOST = "127.0.0.1"
WAIT_S = 15
QUICK: dict[str, Any] = {
    "engine.profile": "simulated",
    "engine.embedded.recognizer": "pocketsphinx",  # nobody hears what is said over the agent
    "engine.simulated.first_word_ms": 0,
    "engine.simulated.first_audio_ms": 0,
    "engine.simulated.word_ms": 0,
    "engine.simulated.words": 8,
    "engine.simulated.audio_ms_per_word": 200,
    "sip.enabled": True,
    "sip.port": 0,
    "call.capacity": 3,
    "records.mode": "off",  # its thread knows no virtual time
}


@asynccontextmanager
async def server(engine: Engine | None = None, **changes: Any) -> AsyncIterator[App]:
    """A whole server in this loop, without its HTTP port. Underscores twice are dots."""
    overrides = QUICK | {key.replace("__", "."): value for key, value in changes.items()}
    settings: Settings = load_settings(None, overrides)
    app = App(settings, engine)
    async with app.asgi.router.lifespan_context(app.asgi):
        yield app


class Phone(asyncio.DatagramProtocol, asyncio.Protocol):
    """One phone with at most one call."""

    def __init__(
        self,
        transport: str = "UDP",
        credentials: Credentials | None = None,
        *,
        host: str = HOST,
        says: str = "",
        authority: str = "",
    ) -> None:
        """`says` is the address that it believes to be its own, if not `host`; `authority` is the certificate of the
        authority that signed the server's."""
        self.transport = transport
        self.host = host
        self.says = says or host
        self.events: list[Event] = []
        self.messages: list[Message] = []  # received
        self.heard: list[tuple[float, Packet]] = []
        self.call: UacCall | None = None
        self.media: Media | None = None
        self.talking = True  # RTP is being sent
        self._credentials = credentials
        self._authority = authority
        self._sockets = MediaSockets(host, 31_000, 32_699)
        self.negotiation = self.able(self.codecs)
        self._words: list[bytes] = []
        self._parser = StreamParser()
        self._news = asyncio.Event()
        self._loop = asyncio.get_running_loop()
        self._connection: Any = None

    def able(self, codecs: tuple[Codec, ...]) -> Negotiation:
        """Its offers and answers, with these codecs."""
        return Negotiation(Capabilities(address=self.says, port=self._sockets.port, codecs=codecs, secure=self.secure))

    async def open(self, app: App) -> "Phone":
        assert app.sip
        return await self.open_at(app.sip.ports[self.transport])

    async def open_at(self, port: int) -> "Phone":
        """Open it for a server that may be in another process."""
        if self.transport == "UDP":
            self._connection, _ = await self._loop.create_datagram_endpoint(lambda: self, local_addr=(self.host, 0))
            self.server = Address("UDP", self.host, port)
        else:
            secure = ssl.create_default_context(cafile=self._authority) if self.transport == "TLS" else None
            self._connection, _ = await self._loop.create_connection(lambda: self, self.host, port, ssl=secure)
            self.server = Address(self.transport, self.host, port, 1)
        self.address = self._connection.get_extra_info("sockname")[:2]
        self.ua = UserAgent(UserAgentConfig({self.transport: (self.says, self.address[1])}, allow_refer=self.obliging))
        self._loop.add_reader(self._sockets.audio, self._read)
        self._clock = asyncio.create_task(self._run())
        return self

    async def close(self) -> None:
        self._clock.cancel()
        await asyncio.gather(self._clock, return_exceptions=True)
        self._loop.remove_reader(self._sockets.audio)
        self._sockets.close()
        self._connection.close()

    # Actions of the caller

    def dial(self, user: str = "1000", body: bytes | None = None) -> None:
        where = f"[{self.host}]" if ":" in self.host else self.host
        outgoing = Outgoing(
            to=f"{self.scheme}:{user}@{where}:{self.server.port}",
            body=self.negotiation.offer() if body is None else body,
            caller=NameAddr("Ann", parse_uri("sip:ann@127.0.0.1")),
            credentials=self._credentials,
            proxy=self.server,
            headers=(),
        )
        self.call = self.ua.invite(outgoing, self._now_ms())
        self.flush()

    async def talk(self, user: str = "1000") -> "Phone":
        """Dial, and wait for speech."""
        self.dial(user)
        await self.wait(Answered)
        await self.until(lambda: len(self.speech()) > 0)
        return self

    def hang_up(self) -> None:
        assert self.call
        self.call.hang_up(self._now_ms())
        self.flush()

    def direct(self, direction: Any) -> None:
        """Re-INVITE with another direction: sendonly or inactive puts the agent on hold."""
        assert self.call
        self.negotiation.direction = direction
        self.call.reinvite(self.negotiation.offer(), self._now_ms())
        self.flush()

    def say(self, pcm: bytes) -> None:
        """Speak; silence is sent otherwise."""
        self._words += [pcm[at : at + 2 * FRAME].ljust(2 * FRAME, b"\0") for at in range(0, len(pcm), 2 * FRAME)]

    def press(self, keys: str) -> None:
        assert self.media
        self.media.press(keys)

    def send(self, data: bytes) -> None:
        """Send raw bytes on the socket."""
        if self.transport == "UDP":
            self._connection.sendto(data, (self.host, self.server.port))
        else:
            self._connection.write(data)

    # Observations

    async def wait(self, kind: type) -> Any:
        await self.until(lambda: any(isinstance(event, kind) for event in self.events))
        found = next(event for event in self.events if isinstance(event, kind))
        self.events.remove(found)
        return found

    async def until(self, condition: Any) -> None:
        async with asyncio.timeout(WAIT_S):
            while not condition():
                self._news.clear()
                await self._news.wait()

    def pcm(self) -> bytes:
        """All that was heard."""
        return b"".join(PCMU.decode(item.payload) for _, item in self.heard)

    def speech(self) -> list[int]:
        """The numbers of the packets that are not silence."""
        return [n for n, (_, item) in enumerate(self.heard) if item.payload != PCMU.silence]

    # Sockets

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._message(parse(data))

    def data_received(self, data: bytes) -> None:
        for message in self._parser.feed(data):
            if not isinstance(message, KeepAlive):
                self._message(message)
        self._news.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost = True
        self._news.set()

    lost = False
    scheme = "sip"
    secure: Any = "off"
    codecs: tuple[Codec, ...] = (PCMU, PCMA)
    obliging = True  # obeys REFER
    patient = False  # leaves that to the test

    def _message(self, message: Message) -> None:
        self.messages.append(message)
        self.ua.receive(message, self.server, self._now_ms())
        self.flush()

    def flush(self) -> None:
        while items := self.ua.take():
            for item in items:
                if isinstance(item, Send):
                    self.send(item.data)
                else:
                    self._told(item)
        self._news.set()

    def _told(self, event: Event) -> None:
        self.events.append(event)
        if isinstance(event, Answered) or (isinstance(event, Reanswered) and event.status < 300):
            agreed = self.negotiation.read_answer(event.body)
            if self.media is None:
                self.media = Media(agreed, self._next, self._now_ms())
            else:
                self.media.update(agreed, self._now_ms())
        if isinstance(event, Referred) and not self.patient:
            self.ua.call(event.call).accept_refer(self._now_ms())
            self.ua.call(event.call).tell_refer(200, self._now_ms())
        assert not isinstance(event, Acked | Reinvited | TransferProgress)
        if isinstance(event, Ended):
            self.talking = False

    def _next(self) -> bytes | None:
        return self._words.pop(0) if self._words else None

    def _read(self) -> None:
        for data, _, _ in sockets.receive(self._sockets.audio):
            self._audio(data)

    def _audio(self, data: bytes) -> None:
        if self.media is None and self.secure == "required":
            return  # before the answer, which has the key
        if self.media is not None and self.media.srtp is not None and not packet.is_rtcp(data):
            data = self.media.srtp.unprotect(data) or b""
        if data and not packet.is_rtcp(data):
            self.heard.append((self._loop.time(), packet.parse(data)))
            self._news.set()

    async def _run(self) -> None:
        due = self._loop.time()
        while True:
            due += 0.02
            await asyncio.sleep(max(0.0, due - self._loop.time()))
            self.ua.timers(self._now_ms())
            self.flush()
            if self.media is not None and self.talking:
                sockets.send(self._sockets.audio, self.media.tick(self._now_ms()), self.media.remote)

    def _now_ms(self) -> float:
        return 1000 * self._loop.time()


def without_events(offer: bytes) -> bytes:
    """The same of a phone that knows no events."""
    offer = re.sub(rb"a=(rtpmap|fmtp):(101|110) [^\r]*\r\n", b"", offer)
    return re.sub(rb"(m=[^\r]*?)( 101| 110)+\r\n", rb"\1\r\n", offer)


async def over(app: App) -> None:
    """Wait until no call is on."""
    await until(lambda: not app.calls)
    assert app.admission.active == 0


def likeness(sent: bytes, heard: bytes) -> float:
    """The best correlation of the heard audio, from its first sound to its last, with the sent one; 0 to 1."""
    # Silence before it would make it differ: audio that repeats itself fits at many lags, and at most of them it also
    # faces that silence.
    ours, theirs = (np.frombuffer(pcm, "<i2").astype(float) for pcm in (sent, heard))
    theirs = np.trim_zeros(theirs)
    size = 1 << (len(ours) + len(theirs)).bit_length()
    crossed = np.fft.irfft(np.fft.rfft(theirs, size) * np.conj(np.fft.rfft(ours, size)), size)
    lag = int(np.argmax(crossed))
    lag = lag - size if lag >= len(theirs) else lag
    first, last = max(0, lag), min(len(theirs), lag + len(ours))
    a, b = ours[first - lag : last - lag], theirs[first:last]
    return float(a @ b / np.sqrt((a @ a) * (b @ b) + 1e-9)) if last - first > 800 else 0.0


def likenesses(sent: bytes, heard: bytes, piece_ms: int = 200) -> list[float]:
    """The same for each piece by itself: a jitter buffer stretches pauses, so that longer pieces fit nowhere."""
    size = 16 * piece_ms
    return [likeness(sent[at : at + size], heard) for at in range(0, len(sent) - size, size)]
