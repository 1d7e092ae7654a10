"""One call while it is on, as operators see it: the bridge tells what happens, and nothing is made of it until somebody
looks."""

from collections import deque
from collections.abc import Callable
from typing import Any

import msgspec

from agent import events as e
from agent.engine.base import HIDDEN, Cue
from agent.session import Session
from agent.state import State
from audio.rate import WIDE_RATE
from config.settings import LogSettings
from telephony.lines.line import Line
from telephony.live.audio_tap import BLOCK_MS, AudioTap, Listening
from telephony.live.meter import SPAN_MS, dbfs, shown
from telephony.live.operator_voice import OperatorVoice
from telephony.live.view import CallView, LastSaid, Latencies, Level, Said
from telephony.records import call_id
from telephony.records.call_record import Act
from telephony.records.text import clean

KEPT = 500  # turns, and acts, that somebody who looks later is shown
# States of the session that are shown as another: flags of their own tell the rest.
SHOWN_STATES = {
    State.HOLD: State.LISTENING,
    State.TAKEN_OVER: State.LISTENING,
    State.CONNECTING: State.IDLE,
    State.ENDED: State.IDLE,
}


class LiveCall:
    """What is known of one call. `number` is its id on record, see call_id.py."""

    def __init__(
        self,
        number: int,
        line: Line,
        agent: str,
        session: Session,
        log: LogSettings,
        *,
        started: int,
        recorded: bool,
        dropped: Callable[[str, float], None] = lambda _, __: None,
    ) -> None:
        """`started` is Unix time in ms; `recorded` is whether there is a recording. `dropped` is told of audio that was
        `heard` too slowly or `spoken` too fast, in ms."""
        self.id = call_id.show(number)
        self.line = line
        self.session = session
        self.words = log.words
        self.operator = ""  # who has taken over
        self.private = False
        self.begun = self.gone = False
        self.watched = False  # whether `caller`, `sent` and `taken_back` want to be called
        self.said: deque[Said] = deque(maxlen=KEPT)
        self.acts: deque[Act] = deque(maxlen=KEPT)
        self.counts = {"said": 0, "act": 0}  # so far, those included that are not kept any more
        self.partial = (0, "")  # the utterance that is being said, and its words so far
        self.latencies: Latencies | None = None
        self._agent = agent
        self._parties = line.parties.known(log.numbers)
        self._started = started
        self._dropped = dropped
        self._recorded = self._reported = recorded  # the line reports what it sends to whoever records it
        self._turns = self._barge_ins = 0
        self._waits_ms: dict[int, float] = {}  # by reply, until its first audio: what deciding the turn took
        self._tap: AudioTap | None = None
        self._voice: OperatorVoice | None = None

    # What happens

    def begin(self) -> None:
        """The line is open, and its rate is settled."""
        self.begun = True
        self._watch()

    def close(self) -> None:
        """It is over."""
        self.fall_silent()
        self.gone = True
        self.watched = False

    def told(self, command: e.Command) -> None:
        """A command of the session, other than for the engine or for audio."""
        match command:
            case e.TurnDecided() if command.cue == Cue.ANSWER:
                self._turns += 1
                self._waits_ms = {command.reply: command.at_ms - command.speech_end_ms}
            case e.Interrupted():
                self._barge_ins += 1
            case e.Said():
                text = clean(command.text) if self.words else ""
                self.said.append(Said(command.role, text, command.interrupted, round(command.at_ms)))
                self.counts["said"] += 1

    def answer_begins(self, reply: int, took_ms: float) -> None:
        """The first audio of a reply has left, `took_ms` after its turn was decided."""
        waited_ms = self._waits_ms.pop(reply, None)
        if waited_ms is not None:
            silence_ms, audio_ms = round(waited_ms), round(took_ms)
            self.latencies = Latencies(self._turns, silence_ms, audio_ms, silence_ms + audio_ms)

    def hears(self, partial: e.Partial, *, private: bool) -> None:
        """What the recognizer makes of the caller's words so far."""
        if self.words and partial.text:
            self.partial = (partial.utterance, HIDDEN if private else clean(partial.text))

    def acted(self, act: Act) -> None:
        """An operator has done something."""
        self.acts.append(act)
        self.counts["act"] += 1

    def switched(self, *, private: bool) -> None:
        """What is said now may be kept, or may not."""
        self.private = private
        if self._tap:
            self._tap.switch(on=not private)

    # The audio, while somebody wants it

    def caller(self, pcm: bytes) -> tuple[bytes, bytes]:
        """A piece of the caller's audio, at the line's rate. Gives what an operator says meanwhile, at 8 kHz and, on a
        wide-band line, at 16."""
        if self._tap:
            self._tap.caller(pcm)
        if self._voice:
            return self._voice.take(500 * len(pcm) / self.line.rate)
        return b"", b""

    def sent(self, pcm: bytes, in_ms: float, hole_ms: float | None) -> None:
        """See Listener."""
        if self._tap:
            self._tap.agent(pcm, in_ms, hole_ms)

    def taken_back(self, ms: float) -> None:
        """See Listener."""
        if self._tap:
            self._tap.taken_back(ms)

    def listen(self) -> Listening:
        """Somebody listens in, until `leave`."""
        listening = Listening()
        self._tap = self._tap or AudioTap(self.line.rate, private=self.private)
        self._tap.listeners.add(listening)
        self._watch()
        return listening

    def leave(self, listening: Listening) -> None:
        """They do no longer."""
        self._dropped("heard", listening.dropped * BLOCK_MS / 2)  # of two tracks
        if self._tap:
            self._tap.listeners.discard(listening)
            self._tap = self._tap if self._tap.listeners else None
        self._watch()

    def speak(self, pcm: bytes) -> None:
        """Who has taken over says something: mono PCM16 at the line's rate."""
        if self._voice is None:
            self._voice = OperatorVoice(wide=self.line.rate == WIDE_RATE)
            self._watch()
        self._voice.put(pcm)

    def fall_silent(self) -> None:
        """They have given the call back."""
        if self._voice:
            self._dropped("spoken", self._voice.dropped_ms)
        self._voice = None
        self._watch()

    def _watch(self) -> None:
        if not self.begun or self.gone:
            return
        self.watched = bool(self._tap or self._voice)
        wanted = bool(self._recorded or self._tap)
        if wanted != self._reported:
            self._reported = wanted
            self.line.report_sent(on=wanted)

    # What is shown

    def view(self) -> CallView:
        """All of it."""
        session, line = self.session, self.line
        if self.operator and not session.taken_over:  # the agent had to take the call back
            self.operator = ""
            self.fall_silent()
        last = self.said[-1] if self.said and self.words and not self.private else None
        return CallView(
            id=self.id,
            call=line.call_id,
            agent=self._agent,
            line=line.carrier,
            direction="outbound" if line.outbound else "inbound",
            caller=self._parties.caller,
            called=self._parties.called,
            started=self._started,
            state=str(SHOWN_STATES.get(session.state, session.state)),
            speaking=session.speaker,
            level=Level(shown(session.caller_db), dbfs(line.recent(SPAN_MS))),
            turns=self._turns,
            barge_ins=self._barge_ins,
            last=LastSaid(last.role, last.text) if last else None,
            latency_ms=self.latencies.latency_ms if self.latencies else None,
            audio_ms=self.latencies.audio_ms if self.latencies else None,
            private=self.private,
            recording=not self.private if self._recorded else None,
            held=session.state is State.HOLD,
            operator=self.operator,
            taken_over=session.taken_over,
            wide=line.rate == WIDE_RATE,
        )

    def end(self) -> dict[str, str]:
        """How it has ended."""
        end = self.line.ending.end
        return {"id": self.id, "ended_by": end.by if end else "server", "reason": clean(end.reason) if end else ""}

    def turns_since(self, count: int) -> list[dict[str, Any]]:
        """The turns after so many."""
        return [msgspec.to_builtins(said) for said in _last(self.said, self.counts["said"] - count)]

    def acts_since(self, count: int) -> list[Act]:
        """The acts after so many."""
        return _last(self.acts, self.counts["act"] - count)


def _last(kept: deque[Any], count: int) -> list[Any]:
    return list(kept)[-count:] if count > 0 else []
