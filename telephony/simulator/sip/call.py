"""A simulated call over SIP: rings, talks over RTP, and accepts transfers without calling the target."""

import asyncio

from audio.rate import SAMPLES_PER_MS
from telephony.lines.exceptions import CommandError
from telephony.lines.rtp import srtp
from telephony.lines.rtp.media import Media
from telephony.lines.rtp.parameters import Parameters
from telephony.lines.sip.dialogs.events import Answered, Cause, Ended, Event, Referred, Reinvited
from telephony.lines.sip.dialogs.uac import UacCall
from telephony.lines.sip.media import sockets
from telephony.lines.sip.media.audio_line import Capabilities, NotAcceptable
from telephony.lines.sip.media.offer import Negotiation
from telephony.lines.sip.media.sockets import MediaSockets
from telephony.simulator.phone import CLOSED, Caller, CallFailed, PhoneCall
from telephony.simulator.report import Outcome
from telephony.simulator.sip.stream import RtpTalk
from telephony.simulator.sip.trunk import SipTrunk

FIRST_PORT, LAST_PORT = 10_000, 19_999  # for our audio; servers use those above
REPORT_MS = 500.0  # between two checks of RTCP
SILENT_MS = 5000.0  # without any packet, after which the server is given up
BUSY = (480, 486, 503, 600, 603)  # answers that mean a busy line; all others are faults


class SimulatedSipCall(PhoneCall):
    """One call."""

    def __init__(self, caller: Caller, url: str, trunk: SipTrunk) -> None:
        super().__init__(caller, url, "")
        self._trunk = trunk
        self._call: UacCall | None = None
        self._ending: Ended | None = None
        self._answered: asyncio.Future[bytes | None] = asyncio.get_running_loop().create_future()
        self._sockets: MediaSockets | None = None
        self._negotiation: Negotiation | None = None
        self._stream: RtpTalk | None = None
        self._reported_ms = 0.0

    async def _converse(self) -> None:
        trunk = self._trunk
        self._sockets = MediaSockets(trunk.host, FIRST_PORT, LAST_PORT)
        try:
            secret = trunk.secure and srtp.available()
            self._negotiation = Negotiation(
                Capabilities(
                    address=trunk.host,
                    port=self._sockets.port,
                    codecs=trunk.codecs,
                    secure="required" if secret else "off",
                )
            )
            self._expect_end()
            self._call = trunk.dial(self._negotiation.offer(), self._told)
            trunk.flush()
            body = await self._answered
            if body is None:
                self._refused()
            else:
                await self._talk(self._negotiation.read_answer(body))
        finally:
            if self._call is not None:
                self._call.hang_up(trunk.now_ms())
                trunk.flush()
            self._sockets.close()

    def _refused(self) -> None:
        """The call was not answered."""
        assert self._ending is not None
        status, reason = self._ending.status, self._ending.reason
        words = self._trunk.lost or (f"{status} {reason}".strip() if status else self._ending.cause.value)
        if self._trunk.lost or self._ending.cause is not Cause.REFUSED or status not in BUSY:
            raise CallFailed(f"INVITE {self.report.url}: {words}")
        self.report.outcome = Outcome.REFUSED
        self.report.notes.append(f"rejected: {words}")

    async def _talk(self, agreed: Parameters) -> None:
        caller = self._caller
        talk = RtpTalk(caller.script, caller.clips, caller.floor, agreed, keep_audio=caller.keep_audio)
        self._stream = talk
        await self._carry(talk, f"{self.report.call_sid} is connected to {self.report.url}")
        if self.report.outcome is Outcome.HUNG_UP_BY_CALLER:
            return
        assert self._ending is not None
        if self._ending.cause is not Cause.REMOTE:
            raise CallFailed(self._ending.cause.value)
        transferred = bool(self.report.transferred_to)
        self.report.outcome = Outcome.TRANSFERRED if transferred else Outcome.HUNG_UP_BY_AGENT

    @property
    def _left(self) -> bool:
        return self._ending is not None

    def _exchange(self, now: int) -> str:
        assert self._stream is not None
        assert self._sockets is not None
        talk, now_ms = self._stream, now / SAMPLES_PER_MS
        for data, source, age_ms in sockets.receive(self._sockets.audio):
            talk.receive(data, source, now_ms - age_ms)
        try:
            for packet in talk.tick(now):
                sockets.send(self._sockets.audio, packet, talk.media.remote)
        except CommandError as error:
            return str(error)
        if now_ms >= self._reported_ms + REPORT_MS:
            self._reported_ms = now_ms
            self._control(talk.media, now_ms)
        if talk.media.silent_ms(now_ms) > SILENT_MS and not talk.media.silent_by_right:
            return f"no audio has come for {SILENT_MS / 1000:g} s: has the server died?"
        return ""

    def _control(self, media: Media, now_ms: float) -> None:
        """Exchange RTCP reports."""
        assert self._sockets is not None
        for data, source, _ in sockets.receive(self._sockets.control):
            media.receive_control(data, source, now_ms)
        sockets.send(self._sockets.control, media.report(now_ms), media.remote_control)

    # Events from the agent's side

    def _told(self, event: Event) -> None:
        assert self._call is not None
        match event:
            case Answered():
                self.report.call_sid = self._call.dialog.call_id
                if not self._answered.done():
                    self._answered.set_result(event.body)
            case Ended():
                self._ending = event
                if not self._answered.done():
                    self._answered.set_result(None)
                self._end(CLOSED)
            case Reinvited():
                self._reinvited(self._call, event.body)
            case Referred():
                self._referred(self._call, event.target)

    def _reinvited(self, call: UacCall, offer: bytes) -> None:
        """The agent's side offers other media."""
        assert self._negotiation is not None
        now_ms = self._trunk.now_ms()
        try:
            if not offer:
                raise NotAcceptable("a re-INVITE without an offer is not done by this caller")
            answer, agreed = self._negotiation.answer(offer)
        except NotAcceptable as error:
            self.report.notes.append(str(error))
            call.refuse_reinvite(error.refusal, now_ms)
            return
        if self._stream is not None:
            self._stream.media.update(agreed, self._now() / SAMPLES_PER_MS)
        call.answer_reinvite(answer, now_ms)

    def _referred(self, call: UacCall, target: str) -> None:
        """A transfer: the target is not called, but the agent is told that it answered."""
        now_ms = self._trunk.now_ms()
        self.report.transferred_to = target
        call.accept_refer(now_ms)
        call.tell_refer(200, now_ms)
