"""Joins one call's line with its conversation: the line's news become events, commands become its calls."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

import msgspec

from agent import events as e
from agent.conversation import Conversation, Record
from agent.engine.base import Engine, FloatArray
from agent.listening.vad import Vad
from agent.records import Records
from agent.state import State
from agent.tape.recorder import Recorder, header
from agent.tools import Tools
from audio.resample import WIDE, to_both, to_line
from config.agent import AgentSettings
from config.keys import duration_ms
from config.settings import Settings
from telephony.lines.keypad import Keypad, Way
from telephony.lines.line import Line, Listener
from telephony.lines.metrics import Metrics
from telephony.tapes.tapes import Tape, Tapes

VERSION = version("voxline")


class Shared(msgspec.Struct):
    """What all calls of one server share."""

    settings: Settings
    engine: Engine
    vad: Vad
    metrics: Metrics
    records: Records
    tapes: Tapes | None = None


class Bridge(Listener):
    """The two ends of one call."""

    def __init__(
        self,
        shared: Shared,
        line: Line,
        agent: AgentSettings,
        on_closed: Callable[["Bridge"], None],
        keys: str = "",
    ) -> None:
        """`keys` are pressed before the greeting."""
        self._shared = shared
        self.line = line
        self._on_closed = on_closed
        self._talked_over = False  # what has paused the reply last: speech or a key, no hold
        self._keypad = Keypad(shared.settings.call.key_tones)
        self._decided: dict[int, float] = {}  # reply to the time its turn was decided, until its first audio
        self._tape, record = self._begin_tape(agent, keys)
        self._conversation = Conversation(
            line.call_id,
            agent,
            shared.engine,
            shared.settings,
            on_command=self._command,
            to_line=self._to_line,
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
            ),
            record=record,
            keys=keys,
            parties=line.parties,
        )
        line.sent_first_audio = self._sent_first_audio
        self.vad = shared.vad.open()

    def _begin_tape(self, agent: AgentSettings, keys: str) -> tuple[Tape | None, Record | None]:
        """The call's tape, where calls are recorded, and what is to be told every step."""
        line, settings = self.line, self._shared.settings
        if self._shared.tapes is None:
            return None, None
        tape = self._shared.tapes.open(line.call_id)
        full = settings.tape.mode == "full"
        recorder = Recorder(words=full)
        started = datetime.now(UTC).isoformat(timespec="milliseconds")
        more: dict[str, Any] = {"transfers": agent.transfers, "keys": keys if full else ""}
        more["parties"] = line.parties.known("full" if full else settings.log.numbers)
        head = header(line.call_id, agent.name, started, VERSION, settings, **more)
        tape.write(msgspec.json.encode(head) + b"\n")
        begun = time.monotonic()

        def clock_ms() -> float:
            return round(1000 * (time.monotonic() - begun), 3)

        def note(**fields: Any) -> None:
            at_ms = self._conversation.session.now_ms
            if "in_ms" in fields:
                fields["plays_at"] = at_ms + fields.pop("in_ms")
            tape.write(recorder.note(at_ms, clock=clock_ms(), **fields))

        line.note = note

        def record(at_ms: float, event: e.Event | None, commands: list[e.Command], state: State) -> None:
            tape.write(recorder.step(at_ms, event, commands, state, clock_ms()))

        return tape, record

    def start(self) -> None:
        """See Listener."""
        self._conversation.start()

    def audio(self, pcm: bytes, wide: bytes = b"") -> None:
        """See Listener."""
        key = ""
        if self._keypad.listens(self.line.carries_keys):
            pcm, wide, key = self._keypad.hear(pcm, wide, self._conversation.session.now_ms)
            if not pcm:
                return
        self.vad.feed(pcm)
        self._conversation.handle(e.CallerAudio(pcm, wide))
        if key:
            self._conversation.handle(e.Dtmf(key))

    def probability(self, value: float, at_ms: int) -> None:
        """The voice detector's word on one window; a bug costs this call only."""
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
        self._decided.clear()  # the caller waits by their own will
        self._safely(e.Held())

    def retrieved(self) -> None:
        """See Listener."""
        self.line.log.info("off hold")
        self._safely(e.Retrieved())

    def transfer_failed(self, reason: str) -> None:
        """See Listener."""
        self._safely(e.TransferFailed(reason))

    def shut_down(self) -> None:
        """See Listener."""
        self._safely(e.Shutdown())

    async def closed(self) -> None:
        """See Listener."""
        self._shared.vad.close(self.vad)
        self._on_closed(self)  # before the socket is closed: Twilio then asks at once what follows
        await self._conversation.close()
        self._end_tape()
        self._shared.metrics.wasted.inc(self._conversation.session.wasted)

    def _end_tape(self) -> None:
        line = self.line
        if self._tape and self._shared.tapes and line.note:
            line.note(end=line.summary())
            self._shared.tapes.close(self._tape)
            if self._tape.broken:
                line.log.error("the tape is incomplete: the disk was too slow or full")

    def _safely(self, event: e.Event) -> None:
        try:
            self._conversation.handle(event)
        except Exception as error:  # noqa: BLE001 (called from the ticker, which serves all calls)
            self.line.fail(error)

    def _command(self, command: e.Command) -> None:
        line = self.line
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
                line.hang_up(failed=command.failed)
            case e.Transfer():
                line.transfer(command.number)
            case _:
                self._note(command)

    def _to_line(self, audio: FloatArray, rate: int) -> tuple[bytes, bytes]:
        """A synthesizer's chunk as the line plays it; see Replies."""
        return to_both(audio, rate) if self.line.rate == WIDE else (to_line(audio, rate), b"")

    def _note(self, command: e.Command) -> None:
        """What is only for the log and the metrics."""
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
                log.info("interrupted", extra={"reply": command.reply, "at_ms": command.at_ms})
            case e.Press():
                words = {"keys": command.keys} if self._shared.settings.log.words else {}
                log.info("pressed", extra={"count": len(command.keys), **words})
            case e.Said():
                words = {"text": command.text} if self._shared.settings.log.words else {}
                extra = {"role": command.role, "interrupted": command.interrupted, "at_ms": command.at_ms}
                log.info("said", extra=extra | words)

    def _sent_first_audio(self, reply: int) -> None:
        if decided := self._decided.pop(reply, None):
            histogram = self._shared.metrics.reply_audio if reply > 1 else self._shared.metrics.first_audio
            histogram.observe(time.monotonic() - decided)
