"""Joins one call's line with its conversation: the line's reports become events, commands become calls of the line."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from typing import TYPE_CHECKING, Any

import msgspec

from agent import events as e
from agent.conversation import Conversation
from agent.engine.base import HIDDEN, Engine, ToolResult
from agent.listening.vad import Vad
from agent.records import Records
from agent.state import State
from agent.tape.format import header
from agent.tape.recorder import Recorder
from agent.tools import Tools
from audio.rate import WIDE_RATE
from config.agent import AgentSettings
from config.keys import duration_ms
from config.settings import Settings
from telephony.lines.ending import By
from telephony.lines.keypad import Keypad, Way
from telephony.lines.line import Line, Listener
from telephony.lines.metrics import Metrics
from telephony.live.acts import Acts
from telephony.live.live_call import LiveCall
from telephony.live.live_calls import LiveCalls
from telephony.recordings.recording import Recording
from telephony.recordings.recordings import Recordings
from telephony.records.call_log import CallLog
from telephony.records.call_record import Act
from telephony.records.call_records import CallRecords
from telephony.server.page_events import PageEvents
from telephony.tapes.tapes import TapeFile, Tapes
from telephony.timing.call_timing import CallTiming
from telephony.timing.figures import Figures

if TYPE_CHECKING:
    from telephony.tracing.traces import Traces

VERSION = version("voxline")


class Shared(msgspec.Struct):
    """What all calls of one server share."""

    settings: Settings
    engine: Engine
    vad: Vad
    metrics: Metrics
    records: Records
    figures: Figures
    traces: "Traces | None" = None
    tapes: Tapes | None = None
    recordings: Recordings | None = None
    calls: CallRecords | None = None
    live: LiveCalls = msgspec.field(default_factory=LiveCalls)


class Bridge(Listener):
    """The two ends of one call."""

    def __init__(
        self,
        shared: Shared,
        line: Line,
        agent: AgentSettings,
        on_closed: Callable[["Bridge"], None],
        *,
        keys: str = "",
        known_as: str = "",
    ) -> None:
        """`keys` are pressed before the greeting; `known_as` is the engine's name for the agent, if that is another
        than its own."""
        self._shared = shared
        self.line = line
        self._on_closed = on_closed
        self._talked_over = False  # whether the last pause of the reply was for speech or a key, not for a hold
        self._keypad = Keypad(shared.settings.call.key_tones)
        self._trace = shared.traces.open(line, agent.name) if shared.traces else None
        self._timing = CallTiming(shared.figures, line.call_id, self._trace.turn if self._trace else None)
        self._decided: dict[int, float] = {}  # by reply: when its turn was decided; kept until its first audio
        started = datetime.now(UTC)
        self._tape = self._begin_tape(agent, keys, started)
        self.taping = self._tape is not None
        mode = shared.settings.recording.mode
        self.recording = shared.recordings is not None and (mode == "all" or (mode == "asked" and agent.recording))
        self._recording: Recording | None = None
        self.private = False  # nothing of what is said and dialled now may be kept
        self._conversation = Conversation(
            line.call_id,
            agent,
            shared.engine,
            shared.settings,
            on_command=self._command,
            log=line.log,
            tools=Tools(
                agent.tools,
                shared.records,
                presses=agent.press_keys,
                timeout_s=shared.settings.reply.tool_timeout_s,
                words=shared.settings.log.words,
                log=line.log,
                parties=line.parties,
                count=lambda tool, outcome: shared.metrics.tools.labels(tool, outcome).inc(),
                ran=self._ran,
            ),
            record=self._record if self._tape else None,
            on_engine=self._of_engine,
            keys=keys,
            parties=line.parties,
            started_s=started.timestamp(),
            known_as=known_as,
        )
        self._page = PageEvents(line.show, words=shared.settings.log.words) if line.show else None
        self._vad = shared.vad.open(self._probability)
        self._call: CallLog | None = None
        if shared.calls:
            self._call = shared.calls.open(line, agent.name, _now_ms(), self._tape.name if self._tape else "")
            self._call.filled = self._conversation.session.memory.filled
        self._by: By = "agent"  # who has decided what the line is told
        self.live = self._show(agent, round(1000 * started.timestamp()))

    def _show(self, agent: AgentSettings, started: int) -> LiveCall:
        """From now on operators see the call."""
        shared, log = self._shared, self._shared.settings.log
        number = self._call.id if self._call else shared.live.ids.new(started)
        session = self._conversation.session
        live = LiveCall(
            number,
            self.line,
            agent.name,
            session,
            log,
            started=started,
            recorded=self.recording,
            dropped=lambda way, ms: shared.metrics.live_dropped.labels(way).inc(ms),
        )
        acts = Acts(
            live,
            agent,
            give=self._requested,
            record=self._acted,
            instructable=shared.engine.instructable,
            numbers=log.numbers,
        )
        shared.live.add(acts)
        return live

    def _begin_tape(self, agent: AgentSettings, keys: str, started: datetime) -> TapeFile | None:
        """The call's tape, where calls are recorded."""
        line, settings = self.line, self._shared.settings
        if self._shared.tapes is None:
            return None
        full = settings.tape.mode == "full"
        self._recorder = Recorder(words=full)
        self._begun_s = time.monotonic()
        more: dict[str, Any] = {"transfers": agent.transfers, "keys": keys if full else ""}
        more["parties"] = line.parties if full else line.parties.known(settings.log.numbers)
        tape = self._shared.tapes.open(line.call_id)
        when = started.isoformat(timespec="milliseconds")
        tape.write(msgspec.json.encode(header(line.call_id, agent.name, when, VERSION, settings, **more)) + b"\n")
        return tape

    def note(self, **fields: Any) -> None:
        """See Listener."""
        if self._tape:
            at_ms = self._conversation.session.now_ms
            if "in_ms" in fields:
                fields["plays_at"] = at_ms + fields.pop("in_ms")
            self._tape.write(self._recorder.note(at_ms, private=self.private, clock=self._clock_ms(), **fields))

    def _record(
        self, at_ms: float, event: e.Event | None, commands: list[e.Command], state: State, private: bool
    ) -> None:
        if self._tape:
            line = self._recorder.step(at_ms, event, commands, state, self._clock_ms(), private=private)
            self._tape.write(line)

    def _clock_ms(self) -> float:
        return round(1000 * (time.monotonic() - self._begun_s), 3)

    def start(self) -> None:
        """See Listener."""
        if self.recording and self._shared.recordings:
            line = self.line
            self._recording = self._shared.recordings.open(line.rate, line.log, takes_back_ms=line.takes_back_ms)
            if self._call:
                self._call.recording = self._recording.name
        if self._call:
            self._call.answered(_now_ms())
        self.live.begin()
        self._conversation.start(wide=self.line.rate == WIDE_RATE)

    def audio(self, pcm: bytes, wide: bytes = b"") -> None:
        """See Listener."""
        if self._recording:
            self._recording.caller(wide or pcm)
        if self.live.watched:
            self._watched(wide or pcm)
        key = ""
        if self._keypad.listens(self.line.carries_keys):
            pcm, wide, key = self._keypad.hear(pcm, wide, self._conversation.session.now_ms)
            if not pcm:
                return
        self._vad.feed(pcm)
        self._conversation.handle(e.CallerAudio(pcm, wide))
        if key:
            self._conversation.handle(e.Dtmf(key))

    def _watched(self, heard: bytes) -> None:
        """Somebody looks, or listens, or speaks."""
        pcm, wide = self.live.caller(heard)
        if pcm:
            self._conversation.handle(e.OperatorAudio(pcm, wide))

    def _of_engine(self, item: e.Event | e.Command) -> None:
        self._timing.told(item, 1000 * time.monotonic())
        if isinstance(item, e.Partial):
            self.live.hears(item, private=self._conversation.session.is_private(item))

    def _requested(self, event: e.Event) -> None:
        """An operator wants something done."""
        self._by = "operator"
        try:
            self._safely(event)
        finally:
            self._by = "agent"

    def _acted(self, act: Act) -> None:
        if self._call:
            self._call.acted(act)

    def _probability(self, value: float, at_ms: int) -> None:
        """The voice detector's result for one window. A bug costs only this call."""
        self._safely(e.SpeechProbability(value, at_ms))

    def dtmf(self, digit: str, way: Way, lasted_ms: float = 0.0) -> None:
        """See Listener."""
        if self._keypad.press(digit, way, self._conversation.session.now_ms, lasted_ms):
            self._conversation.handle(e.Dtmf(digit))

    def played(self, reply: int, ms: float) -> None:
        """See Listener."""
        self._safely(e.Played(reply, ms))

    def held(self) -> None:
        """See Listener."""
        self.line.log.info("on hold")
        self._decided.clear()  # the caller chose to wait
        self._safely(e.Held())

    def retrieved(self) -> None:
        """See Listener."""
        self.line.log.info("off hold")
        self._safely(e.Retrieved())

    def transfer_failed(self, reason: str) -> None:
        """See Listener."""
        self._safely(e.TransferFailed(reason))

    def switch_recording(self, *, on: bool) -> None:
        """A person wants the call's recording to pause, or to go on."""
        self._safely(e.RecordingSwitched(on))

    def _switch(self, *, on: bool) -> None:
        self.private = not on
        self.live.switched(private=not on)
        self.line.log.info("recording resumed" if on else "recording paused")
        if self._recording:
            (self._recording.resume if on else self._recording.pause)()

    def shut_down(self) -> None:
        """See Listener."""
        self._safely(e.Shutdown())

    async def closed(self) -> None:
        """See Listener."""
        self._shared.vad.close(self._vad)
        self._shared.live.remove(self.live)
        self._on_closed(self)  # before the socket is closed: Twilio then asks at once what follows
        try:
            await self._conversation.close()
        finally:
            if self._recording and self._shared.recordings:
                self._shared.recordings.close(self._recording)
            self._end_tape()
            self._end_call()
            if self._trace:
                self._trace.close()
        self._shared.metrics.wasted.inc(self._conversation.session.discarded)

    def _end_tape(self) -> None:
        line = self.line
        if self._tape and self._shared.tapes:
            recording = {"recording": self._recording.name} if self._recording else {}
            self.note(end=line.summary() | recording)
            self._shared.tapes.close(self._tape)
            if self._tape.broken:
                line.log.error("the tape is incomplete: the disk was too slow or full")

    def _end_call(self) -> None:
        """The call's last state goes on record."""
        if self._call:
            line, media_ms = self.line, self._conversation.session.now_ms
            self._call.ended(line.ending, line.counts(), media_ms, _now_ms())

    def _ran(self, result: ToolResult) -> None:
        if self.private:  # an error may quote what was refused
            error = HIDDEN if result.error else ""
            result = msgspec.structs.replace(result, arguments={}, result={}, error=error)
        if self._call:
            self._call.ran(result, self._conversation.session.now_ms, _now_ms())

    def _safely(self, event: e.Event) -> None:
        try:
            self._conversation.handle(event)
        except Exception as error:  # noqa: BLE001 (called from the ticker, which serves all calls)
            self.line.fail(error)

    def _command(self, command: e.Command) -> None:
        line = self.line
        if self._page:
            self._page.told(command, self._conversation.session.state)
        match command:
            case e.Play():
                line.play(command.reply, command.wide or command.pcm, command.marks)
            case e.Pause():
                self._conversation.handle(e.Paused(command.reply, line.pause(command.reply)))
                self._note(command)
            case e.Resume():
                line.resume(command.reply)
                self._note(command)
            case e.Drop():
                line.drop(command.reply)
            case e.Press():
                self._keypad.ignore(duration_ms(command.keys))
                line.press(command.reply, command.keys)
                self._note(command)
            case e.HangUp():
                if command.failed:
                    self._shared.metrics.replies_failed.inc()
                line.hang_up(failed=command.failed, by=self._by)
                self._note(command)
            case e.Transfer():
                line.transfer(command.number, by=self._by)
                self._note(command)
            case e.Record():
                self._switch(on=command.on)
            case _:
                self._note(command)

    def _note(self, command: e.Command) -> None:
        """Update the log, the metrics and the call's record."""
        self.live.told(command)
        self._timing.told(command, 1000 * time.monotonic())
        if self._call:
            self._call.told(command, _now_ms())
        metrics, log = self._shared.metrics, self.line.log
        match command:
            case e.TurnDecided():
                self._decided = {command.reply: time.monotonic()}
                metrics.replies.labels(command.cue).inc()
                if command.cue == "answer":
                    metrics.endpoint.observe((command.at_ms - command.speech_end_ms) / 1000)
            case e.Pause():
                self._talked_over = command.onset_ms is not None
                if command.onset_ms is not None:
                    metrics.barge_in.observe((command.at_ms - command.onset_ms) / 1000)
            case e.Resume():
                metrics.resumed.inc(self._talked_over)
            case e.Interrupted():
                metrics.interruptions.inc()
                if self._trace:
                    self._trace.event("interrupted", reply=command.reply)
                log.info("interrupted", extra={"reply": command.reply, "at_ms": command.at_ms})
            case e.Press():
                words = {"keys": command.keys} if self._shared.settings.log.words and not self.private else {}
                log.info("pressed", extra={"count": len(command.keys), **words})
            case e.Said():
                words = {"text": command.text} if self._shared.settings.log.words else {}
                extra = {"role": command.role, "interrupted": command.interrupted, "at_ms": command.at_ms}
                log.info("said", extra=extra | words)

    def sent(self, pcm: bytes, in_ms: float = 0.0, hole_ms: float | None = None) -> None:
        """See Listener."""
        if self._recording:
            self._recording.agent(pcm, in_ms, hole_ms)
        if self.live.watched:
            self.live.sent(pcm, in_ms, hole_ms)

    def taken_back(self, ms: float) -> None:
        """See Listener."""
        if self._recording:
            self._recording.take_back(ms)
        if self.live.watched:
            self.live.taken_back(ms)

    def sent_first_audio(self, reply: int) -> None:
        """See Listener."""
        self._timing.sent(reply, 1000 * time.monotonic())
        if decided := self._decided.pop(reply, None):
            histogram = self._shared.metrics.reply_audio if reply > 1 else self._shared.metrics.first_audio
            took_s = time.monotonic() - decided
            histogram.observe(took_s)
            self.live.answer_begins(reply, 1000 * took_s)
            if self._page:
                self._page.answers(reply, 1000 * took_s)
            if self._call:
                self._call.answer_begins(reply, 1000 * took_s)


def _now_ms() -> int:
    return round(1000 * time.time())
