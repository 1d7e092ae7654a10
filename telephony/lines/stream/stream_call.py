"""One call over a WebSocket: the I/O shell between its socket, its carrier's protocol, the playout and the listener."""

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Sequence

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

from audio import g711
from audio.rate import RATE, SAMPLES_PER_MS
from audio.tones import tones
from config.logging import Log
from config.settings import PlayoutSettings
from config.stream import StreamSettings
from telephony.lines.close_codes import CloseCode
from telephony.lines.ending import By, End, Ending, Failed, HangUp, Outcome, Transfer
from telephony.lines.exceptions import LineError, ProtocolError
from telephony.lines.keypad import Way
from telephony.lines.line import Line, Listener
from telephony.lines.playout import Mark, Playout
from telephony.lines.stream.protocol import Audio, Dtmf, Event, MarkPlayed, Started, Stopped, StreamProtocol
from telephony.lines.stream.sent_audio import SentAudio

DIRECT = "voxline.direct"  # the ASGI extension by which messages bypass ASGI, where our own server offers it


class StreamCall(Line):
    """A call, from the acceptance of its WebSocket to its close.

    `accept` is called when the stream starts: it returns the listener, or raises ProtocolError to refuse the call.
    """

    def __init__(
        self,
        websocket: WebSocket,
        protocol: StreamProtocol,
        settings: StreamSettings,
        playout: PlayoutSettings,
        *,
        accept: Callable[["StreamCall", Started], Listener],
        clock_ms: Callable[[], float],
    ) -> None:
        self.call_id = ""
        self.carrier = protocol.carrier
        self.rate = RATE
        self.carries_keys = True  # they come as messages
        self.ending = Ending()
        self.takes_back_ms = float(playout.lead_ms + playout.mark_grace_ms)
        self._note: Callable[..., None] | None = None  # notes what goes over the wire, for the tape
        self._sent: SentAudio | None = None  # for the recording, and for whoever listens in
        self.stream = protocol
        self.playout = Playout(playout)
        self.log = Log(logging.getLogger("voxline.call"), {"call": ""})
        self._websocket = websocket
        self._direct = websocket.scope.get("extensions", {}).get(DIRECT)
        self._send_text = self._direct["send_text"] if self._direct else websocket.send_text
        self._settings = settings
        self._accept = accept
        self._clock_ms = clock_ms
        self.listener: Listener | None = None
        self._over = asyncio.Event()
        self._wake = asyncio.Event()
        self._control: deque[str] = deque()  # `clear` and the fade after it, sent before any other audio
        self._opened_ms = self._last_media_ms = clock_ms()
        self._allowed = 0.0  # samples of the caller's audio that may have come by the last check
        self._frames_seen = 0
        self._sending_since_ms = 0.0
        self._first_audio_of = 0

    def summary(self) -> dict[str, str | int]:
        """How the call ended and how its line was, for the log and the tape."""
        counters = self.stream.counters
        return {
            **self.ending.summary(),
            "frames": counters.frames,
            "gaps": counters.gaps,
            "duplicates": counters.duplicates,
            "underruns": self.playout.underruns,
        }

    def counts(self) -> dict[str, int]:
        """See Line."""
        counters = self.stream.counters
        return {
            "frames": counters.frames,
            "frames_duplicate": counters.duplicates,
            "frames_late": counters.late,
            "gaps": counters.gaps,
            "gap_milliseconds": counters.gap_ms,
            "events_unknown": counters.unknown,
            "playout_underruns": self.playout.underruns,
            "marks_lost": self.playout.lost_marks,
        }

    async def run(self) -> None:
        """Carry the call to its end and close the socket. The WebSocket is accepted already."""
        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(self._receive(), name="receive"),
                    group.create_task(self._send(), name="send"),
                ]
                await self._over.wait()
                for task in tasks:
                    task.cancel()
        finally:
            if self.listener:
                await self.listener.closed()
        await self._close()

    # What the conversation asks for

    def play(self, reply: int, pcm: bytes, marks: Sequence[float]) -> None:
        """See Line."""
        self.playout.add(reply, pcm, marks)
        self._wake.set()

    def pause(self, reply: int) -> float:
        """See Line."""
        fade, heard_ms = self.playout.pause(self._clock_ms())
        self._control.append(self.stream.clear())
        if self._note:
            self._note(out="clear")
        if fade:
            ulaw = g711.encode(fade)
            self._control.append(self.stream.media(ulaw))
            if self._note:
                self._note(out="media", reply=reply, position=round(heard_ms * SAMPLES_PER_MS), in_ms=0, ulaw=ulaw)
        if self._sent:
            self._sent.paused(reply, heard_ms, g711.encode(fade))
        self._wake.set()
        return heard_ms

    def resume(self, reply: int) -> None:  # noqa: ARG002 (only one reply is ever being played)
        """See Line."""
        self.playout.resume(self._clock_ms())
        self._wake.set()

    def drop(self, reply: int) -> None:  # noqa: ARG002
        """See Line."""
        self.playout.drop()

    def press(self, reply: int, keys: str) -> None:
        """See Line. As tones, which every carrier takes."""
        pcm = tones(keys)
        self.play(reply, pcm, [len(pcm) / 2 / SAMPLES_PER_MS])

    def hang_up(self, *, failed: bool = False, by: By = "agent") -> None:
        """See Line."""
        self._finish(End(f"the {by} hung up", failed, CloseCode.NORMAL, by=by), Failed() if failed else HangUp())

    def transfer(self, number: str, *, by: By = "agent") -> None:
        """See Line."""
        self._finish(End("transferred", code=CloseCode.NORMAL, by=by), Transfer(number))

    def recent(self, ms: int) -> bytes:
        """See Line."""
        return self.playout.recent(self._clock_ms(), ms)

    def report_sent(self, *, on: bool) -> None:
        """See Line."""
        if not on or self.listener is None:
            self._sent = None
        elif self._sent is None:
            self._sent = SentAudio(self.listener)

    def fail(self, error: Exception) -> None:
        """See Line."""
        self.log.error("call failed: %s", error, exc_info=error)
        self._finish(End("internal error", failed=True, code=CloseCode.INTERNAL_ERROR, by="server"), Failed())

    # Time

    def tick(self, now_ms: float) -> None:
        """Wake the sender when audio is due."""
        if self.playout.due_ms <= now_ms:
            self._wake.set()

    def hear(self, now_ms: float) -> None:
        """See Line: the socket tells."""

    def watch(self, now_ms: float) -> None:
        """Look at the time-outs."""
        settings, counters = self._settings, self.stream.counters
        if counters.frames != self._frames_seen:
            self._frames_seen, self._last_media_ms = counters.frames, now_ms
        if self.listener is None:
            if now_ms - self._opened_ms > 1000 * settings.start_timeout_s:
                self._refuse(
                    ProtocolError(CloseCode.POLICY_VIOLATION, f"no start within {settings.start_timeout_s:g} s")
                )
            return
        if now_ms - self._last_media_ms > 1000 * settings.media_timeout_s:
            self._refuse(ProtocolError(CloseCode.POLICY_VIOLATION, f"no media for {settings.media_timeout_s:g} s"))
        if self._sending_since_ms and now_ms - self._sending_since_ms > 1000 * settings.send_timeout_s:
            self._refuse(ProtocolError(CloseCode.POLICY_VIOLATION, "the peer does not read"))
        if heard := self.playout.overdue(now_ms):
            self.listener.played(*heard)

    def shut_down(self) -> None:
        """The server ends soon: let the conversation say goodbye."""
        if self.listener:
            self.listener.shut_down()

    # The socket

    async def _receive(self) -> None:
        if self._direct:
            self._direct["attach"](self._message)
        while True:  # what came before, and the end
            message = await self._websocket.receive()
            if message["type"] == "websocket.disconnect":
                return self._disconnected(message.get("code", 1005), message.get("reason") or "")
            text = message.get("text")
            self._message(message.get("bytes", b"") if text is None else text)

    def _message(self, message: str | bytes) -> None:
        """Take one message. Raises nothing: a bug costs one call, never the server."""
        if self._over.is_set():
            return
        try:
            event = self.stream.receive(message)
            if type(event) is Audio:  # 50 times a second; everything else is rare
                assert self.listener is not None
                if self.stream.received > self._allowed:
                    self._check_pace()
                if event.gap_ms and self._note:
                    self._note(**{"in": "gap", "ms": event.gap_ms})
                self.listener.audio(g711.decode(event.payload))
            elif event is not None:
                self._control_event(event)
        except ProtocolError as error:
            self._refuse(error)
        except Exception as error:  # noqa: BLE001 (see above)
            self.fail(error)

    def _check_pace(self) -> None:
        """Refuse audio that comes much faster than real time."""
        ahead_s = self._settings.max_ahead_s
        self._allowed = SAMPLES_PER_MS * (self._clock_ms() - self._opened_ms + 1000 * ahead_s)
        if self.stream.received > self._allowed:
            raise ProtocolError(CloseCode.POLICY_VIOLATION, f"audio more than {ahead_s:g} s ahead of time")

    def _control_event(self, event: Event) -> None:
        listener = self.listener
        match event:
            case Started():
                self.call_id = event.call_id
                self.log = Log(self.log.logger, {"call": event.call_id, "stream": event.stream_id})
                self.listener = self._accept(self, event)
                self._note = self.listener.note if self.listener.taping else None
                self._sent = SentAudio(self.listener) if self.listener.recording else None
                self.listener.start()
                self._last_media_ms = self._clock_ms()
            case MarkPlayed():
                if self._note:
                    self._note(**{"in": "mark", "name": event.name})
                if listener and (heard := self.playout.returned(event.name, self._clock_ms())):
                    listener.played(*heard)
            case Dtmf():
                if listener:
                    listener.dtmf(event.digit, Way.MESSAGE)
            case Stopped():
                self._finish(End("the caller hung up", code=CloseCode.NORMAL, by="caller"))

    def _disconnected(self, code: int, reason: str) -> None:
        if code == CloseCode.TOO_BIG:
            self.log.warning("refused: message longer than %d bytes", self._settings.max_message_bytes)
        elif code not in (CloseCode.NORMAL, CloseCode.GOING_AWAY):
            self.log.warning("socket lost", extra={"code": code, "reason": reason})
        why = f"{code}: {reason}" if reason else f"{code}"
        self._finish(End(f"socket closed ({why})", failed=code not in (CloseCode.NORMAL, CloseCode.GOING_AWAY)))

    async def _send(self) -> None:
        try:
            while True:
                await self._wake.wait()
                self._wake.clear()
                self._sending_since_ms = now_ms = self._clock_ms()
                while self._control:
                    await self._send_text(self._control.popleft())
                position, plays_ms = self.playout.next_at
                items = self.playout.take(now_ms)
                dry_ms = self.playout.dry_ms
                if dry_ms and self._note:
                    self._note(out="underrun", ms=dry_ms)
                for item in items:
                    if isinstance(item, Mark):
                        await self._send_text(self.stream.mark(item.name))
                        if self._note:
                            self._note(out="mark", name=item.name)
                    else:
                        ulaw = g711.encode(item)
                        if self._sent:  # before a pause can take it back
                            self._sent.block(self.playout.reply, ulaw, position, max(0.0, plays_ms - now_ms), dry_ms)
                        dry_ms = 0.0
                        await self._send_text(self.stream.media(ulaw))
                        self._note_audio(ulaw, position, max(0.0, plays_ms - now_ms))
                        position += len(ulaw)
                        plays_ms = max(plays_ms, now_ms) + len(ulaw) / SAMPLES_PER_MS
                    if self._control:  # paused meanwhile: the rest has been taken back
                        break
                self._sending_since_ms = 0.0
        except (WebSocketDisconnect, RuntimeError, OSError) as error:
            self._finish(End(f"socket lost: {error}", failed=True))
        except Exception as error:  # noqa: BLE001 (a bug costs one call, never the server)
            self.fail(error)

    def _note_audio(self, ulaw: bytes, position: int, in_ms: float) -> None:
        reply = self.playout.reply
        if self._note:
            self._note(out="media", reply=reply, position=position, in_ms=in_ms, ulaw=ulaw)
        if reply != self._first_audio_of:
            self._first_audio_of = reply
            if self.listener:
                self.listener.sent_first_audio(reply)

    def _refuse(self, error: LineError) -> None:
        if self.ending.end is None:
            self.log.warning("refused: %s", error)
        code = error.code if isinstance(error, ProtocolError) else CloseCode.INTERNAL_ERROR
        reason = error.reason if isinstance(error, ProtocolError) else "internal error"
        self._finish(End(reason, failed=True, code=code))

    def _finish(self, end: End, planned: Outcome | None = None) -> None:
        self.ending.finish(end, planned)
        self._over.set()

    async def _close(self) -> None:
        end = self.ending.end
        assert end is not None
        if end.code and self._websocket.application_state is WebSocketState.CONNECTED:
            try:
                async with asyncio.timeout(self._settings.send_timeout_s):
                    await self._websocket.close(end.code, end.reason)
            except (RuntimeError, OSError, TimeoutError, WebSocketDisconnect):
                self.log.info("the socket was gone before it could be closed")
