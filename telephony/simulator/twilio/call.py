"""A call as Twilio makes it: asks the webhook, talks over the socket, does what follows."""

import asyncio
from collections.abc import Sequence
from urllib.parse import urljoin

from websockets.exceptions import InvalidURI

from audio.rate import SAMPLES_PER_MS
from telephony.lines.close_codes import CloseCode
from telephony.simulator.phone import CLOSED, Caller, CallFailed, PhoneCall
from telephony.simulator.report import Outcome
from telephony.simulator.twilio import twiml
from telephony.simulator.twilio.messages import StreamMessages
from telephony.simulator.twilio.stream import TwilioTalk
from telephony.simulator.twilio.webhooks import Webhooks
from telephony.simulator.twilio.websocket import MOST_UNSENT, Socket

OPEN_TIMEOUT_S = 10.0
LOOK = 100 * SAMPLES_PER_MS  # the socket has been read within this time
MOST_DOCUMENTS = 10  # TwiML documents in one call
ORDERLY = (CloseCode.NORMAL, CloseCode.GOING_AWAY, CloseCode.NO_STATUS)  # close codes after which the call goes on


class TwilioCall(PhoneCall):
    """One call. `url` is the voice webhook, or the media socket itself."""

    def __init__(self, caller: Caller, url: str, webhooks: Webhooks) -> None:
        super().__init__(caller, url, webhooks.identity["CallSid"])
        self._webhooks = webhooks
        self._looking: int | None = None  # into the socket, since when
        self._socket: Socket | None = None
        self._stream: TwilioTalk | None = None

    async def _converse(self) -> None:
        url = self.report.url
        if url.startswith("ws"):
            await self._perform([twiml.Stream(url=url, parameters={})], url)
            return
        following: str | None = self._webhooks.voice_url
        status = "ringing"
        for _ in range(MOST_DOCUMENTS):
            assert following is not None
            verbs = await self._webhooks.fetch(following, status)
            following, status = await self._perform(verbs, following), "in-progress"
            if following is None:
                return
        raise CallFailed(f"more than {MOST_DOCUMENTS} TwiML documents in one call")

    async def _after_all(self) -> None:
        if self.report.url.startswith("ws"):
            return
        try:
            await self._webhooks.completed(round(self.report.duration_ms / 1000))
        except CallFailed as error:
            self.report.notes.append(f"status callback: {error}")

    async def _perform(self, verbs: Sequence[twiml.Verb], url: str) -> str | None:
        """Do what the TwiML says; returns the address of the next TwiML, or None when the call is over."""
        for verb in verbs:
            match verb:
                case twiml.Stream():
                    await self._talk(verb)
                    if self.report.outcome is Outcome.HUNG_UP_BY_CALLER:
                        return None
                    if verb.action:
                        return urljoin(url, verb.action)
                case twiml.Say():
                    self.report.said_by_line.append(verb.text)
                    self._tell(f"{self._clock():7.2f}  line   ▸ says: {verb.text}")
                case twiml.Dial():
                    self.report.outcome, self.report.transferred_to = Outcome.TRANSFERRED, verb.number
                    return None
                case twiml.Redirect():
                    return urljoin(url, verb.url)
                case twiml.Reject():
                    self.report.outcome = Outcome.REFUSED
                    self.report.notes.append(f"rejected: {verb.reason}")
                    return None
                case twiml.Hangup():
                    break
                case twiml.Other():
                    self.report.notes.append(f"<{verb.name}> is not done by this caller")
        self.report.outcome = Outcome.REFUSED if self.talk is None else Outcome.HUNG_UP_BY_AGENT
        return None

    async def _talk(self, verb: twiml.Stream) -> None:
        """Run the script over the socket. Raises CallFailed or SocketError."""
        self._expect_end()
        caller, identity = self._caller, self._webhooks.identity
        messages = StreamMessages(call_sid=identity["CallSid"], account_sid=identity["AccountSid"])
        talk = TwilioTalk(caller.script, caller.clips, caller.floor, messages, keep_audio=caller.keep_audio)
        try:
            socket = Socket(self._webhooks.local(verb.url), self._receive, lambda: self._end(CLOSED))
        except (InvalidURI, ValueError) as error:
            raise CallFailed(f"{verb.url}: {error}") from error
        await socket.open(self._webhooks.sign(verb.url, {}) | {"User-Agent": "Twilio.TmeWs/1.0"}, OPEN_TIMEOUT_S)
        self._socket, self._stream = socket, talk
        self.report.stream_sid = messages.stream_sid
        socket.send(talk.open(verb.parameters))
        try:
            await self._carry(talk, f"{self.report.call_sid} is connected to {verb.url}")
        finally:
            if socket.is_open:
                socket.send(talk.stop())
                await socket.close()
            self.report.close_code, self.report.close_reason = socket.close_code, socket.close_reason
        if self.report.outcome is not Outcome.HUNG_UP_BY_CALLER:
            _check_close(socket)

    @property
    def _left(self) -> bool:
        return self._socket is not None and not self._socket.is_open

    def _tick(self, at: float) -> None:
        if not self._on or self.talk is None or not self.talk.held_up(self._now()):
            super()._tick(at)
        elif self._looking is None:
            self._look(at)

    def _look(self, at: float) -> None:
        """Let the loop look into the socket first: what the agent has sent while we were held up is still there, and
        without it the agent would seem to be silent."""
        self._looking = self._now()
        loop = asyncio.get_running_loop()
        loop.call_soon(loop.call_soon, self._looked, at)

    def _looked(self, at: float) -> None:
        if self._looking is not None and self._now() - self._looking > LOOK:
            self._look(at)  # held up again
        else:
            self._looking = None
            super()._tick(at)

    def _exchange(self, now: int) -> str:
        assert self._socket is not None
        assert self._stream is not None
        self._socket.send(self._stream.tick(now))
        return "the server reads no more from the socket" if self._socket.unsent > MOST_UNSENT else ""

    def _receive(self, message: bytes) -> None:
        if self._on and self._socket is not None and self._stream is not None:
            self._socket.send(self._stream.receive(message, self._now()))


def _check_close(socket: Socket) -> None:
    """Raises CallFailed unless the server closed the socket properly."""
    if socket.lost:
        raise CallFailed("the connection broke without a closing handshake: has the server died?")
    if socket.close_code not in ORDERLY:
        raise CallFailed(f"the server closed the socket with {socket.close_code}: {socket.close_reason or 'no reason'}")
