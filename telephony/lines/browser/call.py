"""One call from a web page: the shell between its sockets, its audio both ways and the listener."""

import asyncio
import hmac
import logging
import secrets
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from audio import g711
from audio.rate import WIDE
from audio.resample import Downsampler
from audio.tones import tones
from config.logging import Log
from config.stream import StreamSettings
from telephony.lines.browser.caller_audio import CallerAudio
from telephony.lines.browser.connection import Connection
from telephony.lines.browser.ear_record import EarRecord
from telephony.lines.browser.messages import Frame, HangUp, Key, Stopped, Text, parse, text
from telephony.lines.browser.speaker import ANSWER_MS, Speaker
from telephony.lines.browser.taped_audio import TapedAudio
from telephony.lines.close_codes import CloseCode
from telephony.lines.ending import By, End, Ending, Failed, Outcome
from telephony.lines.ending import HangUp as HungUp
from telephony.lines.exceptions import ProtocolError
from telephony.lines.keypad import Way
from telephony.lines.line import Line, Listener

LEFT = (CloseCode.NORMAL, CloseCode.GOING_AWAY)  # with these codes a page closes that does not want to come back
MAX_MISSED = 100  # things to show that wait for a page that has lost its socket
SPARE_GAP_MS = 1000  # of silence, beyond the time for which a page may be away


class BrowserCall(Line):
    """A call, from its token to its end. Its page may lose its socket and come back with another."""

    def __init__(self, call_id: str, settings: StreamSettings, resume_s: float, clock_ms: Callable[[], float]) -> None:
        self.call_id = call_id
        self.carrier = "browser"
        self.rate = WIDE.hz
        self.carries_keys = True
        self.show = self._show
        self.ending = Ending()
        self.log = Log(logging.getLogger("voxline.call"), {"call": call_id})
        self.listener: Listener | None = None
        self.key = secrets.token_urlsafe(32)  # with it the page may come back
        self.speaker = Speaker(self._played)
        self.caller = CallerAudio(1000 * resume_s + SPARE_GAP_MS)
        self._settings = settings
        self._resume_s = resume_s
        self._clock_ms = clock_ms
        self._downsampler = Downsampler()
        self._connection: Connection | None = None
        self._missed: deque[str] = deque(maxlen=MAX_MISSED)
        self._over = asyncio.Event()
        self._lost_ms = 0.0  # since when it has no socket
        self._opened_ms = self._heard_from_ms = clock_ms()
        self._allowed = 0.0  # samples of the caller's audio that may have come by the last check
        self._first_audio_of = 0
        self._note: Callable[..., None] | None = None  # for the tape
        self._taped = TapedAudio()
        self._record: EarRecord | None = None  # for the recording, and for whoever listens in
        self._resumed = 0

    def summary(self) -> dict[str, str | int]:
        """See Line."""
        counters = self.caller.counters
        return {
            **self.ending.summary(),
            "frames": counters.frames,
            "gaps": counters.gaps,
            "gap_ms": counters.gap_ms,
            "late": counters.late,
            "duplicates": counters.duplicates,
            "underruns": self.speaker.underruns,
            "resumed": self._resumed,
        }

    def counts(self) -> dict[str, int]:
        """See Line."""
        counters = self.caller.counters
        return {
            "frames": counters.frames,
            "frames_duplicate": counters.duplicates,
            "frames_late": counters.late,
            "gaps": counters.gaps,
            "gap_milliseconds": counters.gap_ms,
            "playout_underruns": self.speaker.underruns,
        }

    async def run(self) -> None:
        """Carry the call to its end, over however many sockets."""
        try:
            await self._over.wait()
        finally:
            try:
                if self.listener:
                    await self.listener.closed()
            finally:
                self._say_goodbye()

    # Sockets

    def open(self, listener: Listener, connection: Connection) -> None:
        """The call begins, on its first socket."""
        self.listener, self._connection = listener, connection
        self._note = listener.note if listener.taping else None
        self._record = EarRecord(listener) if listener.recording else None
        self._welcome(connection)
        self._safely(listener.start)

    def may_resume(self, key: str) -> bool:
        """Whether a page that has this key may come back."""
        return self.ending.end is None and hmac.compare_digest(key.encode(), self.key.encode())

    def resume_on(self, connection: Connection) -> None:
        """The page is back on another socket, which replaces the one before."""
        if self._connection:
            self._connection.close(CloseCode.POLICY_VIOLATION, "replaced by another socket of this call")
        self._connection = connection
        self._resumed += 1
        self._heard_from_ms = now_ms = self._clock_ms()
        self.log.info("resumed", extra={"away_ms": round(now_ms - self._lost_ms) if self._lost_ms else 0})
        self._lost_ms = 0.0
        self.speaker.stop(now_ms)  # it tells where its ear is, and what it has lost is sent again
        self._welcome(connection)
        while self._missed:
            connection.put(self._missed.popleft())

    def lost(self, connection: Connection) -> None:
        """A socket is gone."""
        if connection is not self._connection:
            return
        self._connection = None
        if self.ending.end:
            return
        code, reason = connection.closed_by_peer
        if code in LEFT:
            self._finish(End("the page was closed", code=CloseCode.NORMAL, by="caller"))
            return
        self._lost_ms = self._clock_ms()
        self.log.warning("socket lost", extra={"code": code, "reason": reason})

    def _welcome(self, connection: Connection) -> None:
        speaker = self.speaker
        more = {"key": self.key, "rate": self.rate, "resume_ms": round(1000 * self._resume_s)}
        connection.put(text("welcome", call=self.call_id, epoch=speaker.epoch, **more))
        if speaker.stopping:
            connection.put(text("clear", epoch=speaker.epoch))

    # What the page sends

    def message(self, connection: Connection, message: str | bytes) -> None:
        """One message. Raises nothing: a bug costs one call, never the server."""
        if self.ending.end or connection is not self._connection:
            return
        try:
            parsed = parse(message)
            if isinstance(parsed, Frame):  # 50 times a second; everything else is rare
                self._frame(parsed)
            else:
                self._text(parsed)
        except ProtocolError as error:
            self._refuse(error)
        except Exception as error:  # noqa: BLE001 (see above)
            self.fail(error)

    def _frame(self, frame: Frame) -> None:
        listener, speaker, caller = self.listener, self.speaker, self.caller
        assert listener is not None
        self._heard_from_ms = now_ms = self._clock_ms()
        piece = caller.take(frame)
        if piece is None:
            return
        if caller.received > self._allowed:
            self._check_pace(now_ms)
        heard = speaker.acknowledge(frame.heard, now_ms)
        if self._connection and speaker.wants(now_ms):
            self._connection.wake()
        if self._record:
            self._record.heard(heard, piece.gap, len(piece.pcm) // 2)
        if piece.gap and self._note:
            self._note(**{"in": "gap", "ms": piece.gap / WIDE.per_ms})
        wide = bytes(2 * piece.gap) + piece.pcm if piece.gap else piece.pcm
        listener.audio(g711.decode(g711.encode(self._downsampler.downsample(wide))), wide)  # as tapes have it

    def _check_pace(self, now_ms: float) -> None:
        """Refuse audio that comes much faster than real time."""
        ahead_s = self._settings.max_ahead_s
        self._allowed = WIDE.per_ms * (now_ms - self._opened_ms + 1000 * ahead_s)
        if self.caller.received > self._allowed:
            raise ProtocolError(CloseCode.POLICY_VIOLATION, f"audio more than {ahead_s:g} s ahead of time")

    def _text(self, message: Text) -> None:
        listener = self.listener
        assert listener is not None
        match message:
            case Key():
                listener.dtmf(message.key, Way.MESSAGE)
            case Stopped():
                heard = self.speaker.stopped(message)
                if self._record:
                    self._record.stopped(heard)
                if self._connection:
                    self._connection.wake()
            case HangUp():
                self._finish(End("the caller hung up", code=CloseCode.NORMAL, by="caller"))
            case _:
                raise ProtocolError(CloseCode.POLICY_VIOLATION, "the call has begun already")

    # What is sent to the page

    def due(self) -> Iterator[bytes]:
        """The audio to send now."""
        now_ms = self._clock_ms()
        for block in self.speaker.take(now_ms):
            if self._note:
                offset, ulaw = self._taped.encode(self.speaker.offset(block.position), block.pcm)
                in_ms = self.speaker.ahead_ms(block.position, now_ms)
                self._note(out="media", reply=block.reply, position=offset, in_ms=in_ms, ulaw=ulaw)
            if block.reply != self._first_audio_of:
                self._first_audio_of = block.reply
                if self.listener:
                    self.listener.sent_first_audio(block.reply)
            yield block.pack()

    def _show(self, kind: str, **fields: Any) -> None:
        """See Line."""
        message = text(kind, **fields)
        if self._connection:
            self._connection.put(message)
        else:
            self._missed.append(message)

    # What the conversation asks for

    def play(self, reply: int, pcm: bytes, marks: Sequence[float]) -> None:
        """See Line."""
        self.speaker.add(reply, pcm, marks)
        self._wake()

    def pause(self, reply: int) -> float:  # noqa: ARG002 (only one reply is ever being played)
        """See Line. What is told now is certain; by how much it was more, `played` tells when the page has answered."""
        heard_ms = self.speaker.pause(self._clock_ms())
        if self._connection:
            self._connection.put(text("clear", epoch=self.speaker.epoch))
        if self._note:
            self._note(out="clear")
        return heard_ms

    def resume(self, reply: int) -> None:  # noqa: ARG002
        """See Line."""
        self.speaker.resume()
        self._wake()

    def drop(self, reply: int) -> None:  # noqa: ARG002
        """See Line."""
        self.speaker.drop()

    def press(self, reply: int, keys: str) -> None:
        """See Line. As tones."""
        pcm = tones(keys, self.rate)
        self.play(reply, pcm, [len(pcm) / 2 / WIDE.per_ms])

    def hang_up(self, *, failed: bool = False, by: By = "agent") -> None:
        """See Line."""
        outcome = Failed() if failed else HungUp()
        self._finish(End(f"the {by} hung up", failed, CloseCode.NORMAL, by=by), outcome)

    @property
    def takes_transfer(self) -> bool:
        """See Line."""
        return False

    def recent(self, ms: int) -> bytes:
        """See Line."""
        return self.speaker.playing(ms)

    def report_sent(self, *, on: bool) -> None:
        """See Line."""
        self._record = EarRecord(self.listener) if on and self.listener else None

    def transfer(self, number: str, *, by: By = "agent") -> None:  # noqa: ARG002
        """See Line. Nobody can be reached from a page, which the agent is told once it waits for it."""
        asyncio.get_running_loop().call_soon(self._transfer_fails)

    def _transfer_fails(self) -> None:
        listener = self.listener
        if listener and self.ending.end is None:
            self._safely(lambda: listener.transfer_failed("failed"))

    def fail(self, error: Exception) -> None:
        """See Line."""
        self.log.error("call failed: %s", error, exc_info=error)
        self._finish(End("internal error", failed=True, code=CloseCode.INTERNAL_ERROR, by="server"), Failed())

    def shut_down(self) -> None:
        """See Line."""
        if self.listener and self.ending.end is None:
            self._safely(self.listener.shut_down)

    def end(self) -> None:
        """The server ends: so does the call."""
        self._finish(End("the server ended", failed=True, code=CloseCode.GOING_AWAY, by="server"))

    # Time

    def tick(self, now_ms: float) -> None:
        """See Line."""
        if self._connection and self.speaker.wants(now_ms):
            self._connection.wake()

    def hear(self, now_ms: float) -> None:
        """See Line: the socket tells."""

    def watch(self, now_ms: float) -> None:
        """See Line."""
        if self.ending.end:
            return
        connection, timeout_s = self._connection, self._settings.media_timeout_s
        if connection is None:
            if now_ms - self._lost_ms > 1000 * self._resume_s:
                self._finish(End(f"the page did not come back within {self._resume_s:g} s"))
        elif connection.stuck(now_ms):
            connection.close(CloseCode.POLICY_VIOLATION, "the page does not read")
        elif now_ms - self.speaker.stopping_since_ms > ANSWER_MS:
            self._refuse(ProtocolError(CloseCode.POLICY_VIOLATION, f"no answer to clear for {ANSWER_MS / 1000:g} s"))
        elif now_ms - self._heard_from_ms > 1000 * timeout_s:
            self._refuse(ProtocolError(CloseCode.POLICY_VIOLATION, f"no audio for {timeout_s:g} s"))

    # Inside

    def _wake(self) -> None:
        if self._connection:
            self._connection.wake()

    def _played(self, reply: int, ms: float) -> None:
        listener = self.listener
        if listener and self.ending.end is None:
            listener.played(reply, ms)

    def _safely(self, tell: Callable[[], None]) -> None:
        try:
            tell()
        except Exception as error:  # noqa: BLE001 (a bug costs one call, never the server)
            self.fail(error)

    def _refuse(self, error: ProtocolError) -> None:
        self.log.warning("refused: %s", error)
        self._finish(End(error.reason, failed=True, code=error.code))

    def _finish(self, end: End, planned: Outcome | None = None) -> None:
        self.ending.finish(end, planned)
        self._over.set()

    def _say_goodbye(self) -> None:
        end = self.ending.end
        if self._connection:
            code, reason = (end.code, end.reason) if end else (CloseCode.GOING_AWAY, "the server ended")
            self._connection.put(text("ended", reason=reason, by=end.by if end else "server"))
            self._connection.close(code or CloseCode.NORMAL, reason)
