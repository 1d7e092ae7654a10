"""One SIP call: the I/O shell between its user agent's call, its audio over RTP and the listener."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence

from audio import g711
from audio.rate import NARROW
from audio.resample import Downsampler
from audio.tones import tones
from config.logging import Log
from telephony.lines.ending import By, End, Ending, Failed, HangUp
from telephony.lines.exceptions import CommandError
from telephony.lines.keypad import Way
from telephony.lines.line import Line, Listener
from telephony.lines.pacer import Pacer
from telephony.lines.player import Player
from telephony.lines.rtp.dtmf import parse_info
from telephony.lines.rtp.media import Media
from telephony.lines.rtp.parameters import Parameters
from telephony.lines.sip.agreement import Agreement
from telephony.lines.sip.dialogs.invite_dialog import Call
from telephony.lines.sip.liveness import Liveness, LivenessStep
from telephony.lines.sip.media.audio_line import NotAcceptable
from telephony.lines.sip.media.offer import Negotiation
from telephony.lines.sip.media.sockets import MediaSockets
from telephony.lines.sip.media.wire import Wire
from telephony.lines.sip.transferring import Transferring

LAST_MS = 100  # between the last frame and our BYE, on which phones stop playing at once
MAX_EARLY_KEYS = 32


BeginTransfer = Callable[["SipCall", str], None]


class SipCall(Line):
    """A call from its INVITE to its BYE. `changed` is told when the user agent has something to send, `over` when
    there is nothing left to do but close. `begin_transfer` rings somebody for an attended transfer and connects them
    through `transferring`; without it transfers are cold."""

    def __init__(
        self,
        call: Call,
        sockets: MediaSockets,
        negotiation: Negotiation,
        *,
        media_timeout_s: float,
        nat: bool,
        trunk: str = "",
        begin_transfer: BeginTransfer | None = None,
        changed: Callable[[], None],
        over: Callable[["SipCall"], None],
    ) -> None:
        self.call_id = call.id
        self.carrier = "sip"
        self.outbound = call.owner
        self.rate = NARROW.hz
        self.carries_keys = False  # until agreed on
        self.trunk = trunk  # its name, if the call is a trunk's
        self.ending = Ending()
        self.player = Player(self._played, self._began)
        self.log = Log(logging.getLogger("voxline.call"), {"call": call.id})
        self.listener: Listener | None = None
        self._call = call
        self._begin_transfer = begin_transfer
        self._downsampler: Downsampler | None = None  # on a wide-band line
        self._wire = Wire(sockets, self.player.frame, lambda key: self._press(key, Way.EVENT), nat=nat)
        self.agreement = Agreement(negotiation, self._wire, agreed=self._agreed, hold_changed=self._hold_changed)
        self.transferring = Transferring(call, self.ending, self.log, changed=changed, leave=self._leave)
        self._liveness = Liveness(1000 * media_timeout_s)
        self._changed = changed
        self._over = over
        self._loop = asyncio.get_running_loop()
        self._pacer = Pacer(odd=sockets.port // 2 % 2 == 1)  # ports are random
        self._started = False
        self._early_keys: deque[tuple[str, Way, float]] = deque(maxlen=MAX_EARLY_KEYS)  # pressed before that
        self._bye_ms = 0.0  # when to hang up
        self._pressing = 0  # the reply number of the keys being sent as events
        self._closed = False
        self._noted_gap_ms = 0  # missing audio that the tape has been told of
        self._unheard = 0  # frames sent since the caller's were last heard

    def summary(self) -> dict[str, str | int]:
        """See Line."""
        counts = self.counts()
        return {
            **self.ending.summary(),
            "frames": counts["frames"],
            "late": counts["frames_late"],
            "damaged": counts["frames_damaged"],
            "concealed_ms": counts["gap_milliseconds"],
            "underruns": counts["playout_underruns"],
        }

    def counts(self) -> dict[str, int]:
        """See Line."""
        media = self.media
        jitter = media.jitter.counters if media else None
        return {
            "frames": jitter.packets if jitter else 0,
            "frames_late": jitter.late if jitter else 0,
            "frames_damaged": jitter.damaged + media.counters.malformed if media and jitter else 0,
            "gap_milliseconds": round(jitter.concealed_ms) if jitter else 0,
            "playout_underruns": self.player.playout.underruns,
        }

    @property
    def media(self) -> Media | None:
        """The media session, from the first agreement on."""
        return self._wire.media

    # What the peer does

    def open(self, listener: Listener) -> None:
        """Attach the listener; it starts when the peer has our answer, or we have the peer's."""
        self.listener = listener
        self.player.note = listener.note if listener.taping else None
        self.player.sent = listener.sent if listener.recording else None

    def acknowledged(self, body: bytes) -> None:
        """The peer has our answer, or we have the peer's."""
        try:
            self.agreement.answered(body)
        except NotAcceptable as error:
            if self.media is None:
                self._lose(f"no agreement: {error}")
                return
            self.log.warning("refused: re-INVITE: %s", error)
        if not self._started and self.listener and self.ending.end is None:
            self._started = True
            self._safely(self.listener.start)
            if self.agreement.on_hold:
                self._safely(self.listener.held)
            while self._early_keys:
                self._press(*self._early_keys.popleft())

    def reinvited(self, body: bytes) -> None:
        """The peer offers other media: hold, resume, another address."""
        try:
            ours = self.agreement.describe(body)
        except NotAcceptable as error:
            self.log.warning("refused: re-INVITE: %s", error)
            self._call.refuse_reinvite(error.refusal, self._now_ms())
        else:
            self._call.answer_reinvite(ours, self._now_ms())

    def key(self, content_type: str, body: bytes) -> None:
        """A key by INFO."""
        try:
            pressed = parse_info(content_type, body)
        except ValueError as error:
            self.log.warning("ignored: %s", error)
        else:
            self._press(pressed.key, Way.INFO, pressed.duration_ms)

    def ended(self, reason: str, *, failed: bool, by: By) -> None:
        """The user agent's call is over."""
        self.ending.finish(End(reason, failed, by=by))
        self._finish()

    # What the conversation asks for

    def play(self, reply: int, pcm: bytes, marks: Sequence[float]) -> None:
        """See Line."""
        self.player.add(reply, pcm, marks)

    def pause(self, reply: int) -> float:  # noqa: ARG002 (only one reply is ever being played)
        """See Line."""
        return self.player.pause(leaving=not self.agreement.on_hold)

    def resume(self, reply: int) -> None:  # noqa: ARG002
        """See Line."""
        self.player.resume()

    def drop(self, reply: int) -> None:  # noqa: ARG002
        """See Line."""
        self.player.drop()

    def press(self, reply: int, keys: str) -> None:
        """See Line. As events (RFC 4733), or as tones if the peer takes none."""
        try:
            assert self.media is not None
            self.media.press(keys)
            self._pressing = reply
        except CommandError:
            pcm = tones(keys, self.rate)
            self.player.add(reply, pcm, [1000 * len(pcm) / 2 / self.rate])

    def hang_up(self, *, failed: bool = False, by: By = "agent") -> None:
        """See Line."""
        if self.ending.end is None:
            self.ending.finish(End(f"the {by} hung up", failed, by=by), Failed() if failed else HangUp())
            self._bye_ms = self._now_ms() + LAST_MS

    @property
    def takes_transfer(self) -> bool:
        """See Line."""
        return self.transferring.takes_refer

    def recent(self, ms: int) -> bytes:
        """See Line."""
        return self.player.recent(ms)

    def report_sent(self, *, on: bool) -> None:
        """See Line."""
        self.player.sent = self.listener.sent if on and self.listener else None

    def transfer(self, number: str, *, by: By = "agent") -> None:
        """See Line. By REFER, if the peer allows it."""
        if self.ending.end is not None:
            return
        self.transferring.by = by
        if self._begin_transfer is not None:
            self._begin_transfer(self, number)
            return
        if not self.transferring.refer_to(number, self._now_ms()):
            self.hang_up(failed=True)

    def transfer_failed(self, reason: str) -> None:
        """Nobody was reached, or they could not be connected: the conversation goes on."""
        self.transferring.give_up = None
        if self.listener and self.ending.end is None:
            self.listener.transfer_failed(reason)

    def fail(self, error: Exception) -> None:
        """See Line."""
        self.log.error("call failed: %s", error, exc_info=error)
        self.ending.finish(End("internal error", failed=True, by="server"))
        self._bye_ms = self._bye_ms or self._now_ms()

    # Time

    def tick(self, now_ms: float) -> None:
        """See Line: every 20 ms a frame is sent."""
        if self._closed:
            return
        if self._bye_ms and now_ms >= self._bye_ms:
            self._call.hang_up(now_ms)
            self._changed()
            self._finish()
            return
        try:
            for _ in range(self._pacer.frames(now_ms)):
                self._wire.send(now_ms)
                self._unheard += 1
        except Exception as error:  # noqa: BLE001 (the ticker serves all calls)
            self.fail(error)

    def hear(self, now_ms: float) -> None:
        """See Line: a frame for each that was sent."""
        if not self._unheard or self._closed:
            return
        count, self._unheard = self._unheard, 0
        try:
            for _ in range(count):
                pcm = self._wire.hear(now_ms)
                if pcm is not None and self._started and self.ending.end is None and self.listener:
                    pcm = self.agreement.silenced(pcm)
                    wide = pcm if self._downsampler else b""
                    pcm = self._downsampler.downsample(pcm) if self._downsampler else pcm
                    self.listener.audio(g711.decode(g711.encode(pcm)), wide)  # as the tape has it, for replays
            if self._pressing and self.media and not self.media.pressing:
                reply, self._pressing = self._pressing, 0
                self._played(reply, 0.0)
        except Exception as error:  # noqa: BLE001 (the ticker serves all calls)
            self.fail(error)

    def watch(self, now_ms: float) -> None:
        """See Line."""
        if not self._closed:
            self._safely(lambda: self._look(now_ms))

    def _look(self, now_ms: float) -> None:
        self._wire.report(now_ms)
        self._note_gap()
        if self.ending.end is not None:
            return
        silent_ms = self._wire.silent_ms(now_ms)
        by_right = self._wire.silent_by_right
        match self._liveness.look(silent_ms, by_right=by_right):
            case LivenessStep.ASK:
                if not by_right:
                    self.log.info("no media: asking the peer", extra={"silent_s": round(silent_ms / 1000, 1)})
                self._call.probe(now_ms)
                self._changed()
            case LivenessStep.GIVE_UP:
                self._lose(f"no media for {silent_ms / 1000:.0f} s")

    def _note_gap(self) -> None:
        """Tell the tape how much of the caller's audio was missing since the last look."""
        gap_ms = self.counts()["gap_milliseconds"]
        if gap_ms > self._noted_gap_ms and self.player.note:
            self.player.note(**{"in": "gap", "ms": gap_ms - self._noted_gap_ms})
            self._noted_gap_ms = gap_ms

    def shut_down(self) -> None:
        """See Line."""
        if self.listener and self.ending.end is None:
            self.listener.shut_down()
            if self.transferring.give_up:
                self.transferring.give_up()

    # Inside

    def _agreed(self, parameters: Parameters, media: Media) -> None:
        """The first agreement settles the line's rate for the whole call."""
        self.carries_keys = bool(parameters.events)
        if media.rate is not NARROW and self._downsampler is None:
            self.rate = media.rate.hz
            self._downsampler = Downsampler()
            self.player.settle(media.rate)

    def _hold_changed(self) -> None:
        if self._started and self.ending.end is None and self.listener:
            self._safely(self.listener.held if self.agreement.on_hold else self.listener.retrieved)

    def _press(self, key: str, way: Way, lasted_ms: float = 0.0) -> None:
        """A key may come before the peer's ACK, by another socket or because the ACK was lost."""
        if not self._started:
            self._early_keys.append((key, way, lasted_ms))
        elif self.ending.end is None and self.listener:
            listener = self.listener
            self._safely(lambda: listener.dtmf(key, way, lasted_ms))

    def _played(self, reply: int, ms: float) -> None:
        if self.listener and self.ending.end is None:
            self.listener.played(reply, ms)

    def _began(self, reply: int) -> None:
        if self.listener:
            self.listener.sent_first_audio(reply)

    def _safely(self, tell: Callable[[], None]) -> None:
        try:
            tell()
        except Exception as error:  # noqa: BLE001 (a bug costs one call, never the server)
            self.fail(error)

    def _lose(self, reason: str) -> None:
        self.log.warning("refused: %s", reason)
        self.ending.finish(End(reason, failed=True))
        self._bye_ms = self._now_ms()

    def _finish(self) -> None:
        if not self._closed:
            self._closed = True
            self._wire.close()
            self._over(self)

    def _leave(self) -> None:
        self._bye_ms = self._now_ms()

    def _now_ms(self) -> float:
        return 1000 * self._loop.time()
