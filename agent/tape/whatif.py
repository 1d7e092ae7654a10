"""What would have happened in a taped call with other settings. Sans-I/O.

The caller does what the tape says: audio, speech probabilities, keys, and the recognizer's words. The engine answers
each request with what it had answered at that place of the call, after the delays it had then; the line plays in real
time. So turns and gaps are those of the new settings; nobody knows what the caller would have said differently.
"""

import heapq
import itertools
from collections.abc import Iterable, Iterator
from math import inf
from typing import Any

import msgspec

from agent import events as e
from agent.engine.base import Cue
from agent.session import Session
from agent.state import State
from agent.tape.cut_offs import CutOffs
from agent.tape.format import Header, settings_of
from agent.tape.reader import Step, impossible
from config.exceptions import TapeError
from config.keys import duration_ms
from config.settings import Settings

MOST_AT_ONCE = 10_000  # events at one moment
FROM_CALLER = (e.CallerAudio, e.SpeechProbability, e.Dtmf, e.Held, e.Retrieved, e.Partial, e.HungUp)
FROM_LINE = (e.Played, e.Paused, e.TransferFailed)  # made anew
FROM_OPERATOR = (  # left out: with other settings the call would stand elsewhere when they intervene
    e.SayRequested,
    e.PressRequested,
    e.Instructed,
    e.TransferRequested,
    e.HangUpRequested,
    e.TakenOver,
    e.GivenBack,
    e.OperatorAudio,
)
FROM_ENGINE = (e.CallerSaid, e.ReplyText, e.ReplyUnfinished, e.ReplyAudio, e.ReplyDone, e.ReplyEnded, e.ReplyFailed)


class Experience(msgspec.Struct):
    """What a caller would have noticed. Gaps are from the last speech of a turn to its answer's first audio, in ms; a
    turn that was ended by keys has none."""

    turns: int = 0
    gaps: list[float] = []
    cut_offs: int = 0
    pauses: int = 0
    interruptions: int = 0
    resumes: int = 0
    discarded: int = 0

    def add(self, other: "Experience") -> None:
        """Sum up over calls."""
        self.turns += other.turns
        self.gaps = self.gaps + other.gaps
        self.cut_offs += other.cut_offs
        self.pauses += other.pauses
        self.interruptions += other.interruptions
        self.resumes += other.resumes
        self.discarded += other.discarded


def what_if(head: Header, steps: Iterable[Step], changes: dict[str, Any] | None = None) -> Experience:
    """The call again, with dotted settings changed, such as {"turn.endpoint_ms": 300}. TapeError where it cannot be."""
    if head.mode != "full":
        raise TapeError(f"the tape of {head.call} holds {head.mode} only")
    settings = settings_of(head, changes)
    whole = list(steps)
    try:
        again = _Again(head, whole, settings)
    except Exception as error:  # a tape may be made by hand
        raise impossible(None, error) from error
    return again.run()


class _Engine:
    """What the engine had said, by the reply and the round it was asked in."""

    def __init__(self, steps: list[Step]) -> None:
        self._answers: list[tuple[float, str, list[tuple[float, e.Event]]]] = []  # decided at, cue, events after it
        started: dict[int, tuple[float, str, list[tuple[float, e.Event]]]] = {}
        for step in steps:
            event = step.event
            if isinstance(event, (*FROM_ENGINE, e.ToolsFinished)) and event.reply in started:
                at, _, events = started[event.reply]
                events.append((step.at - at, event))
            for command in step.commands:
                if command["type"] == "StartReply":
                    started[command["reply"]] = (step.at, command["request"]["cue"], [])
                    self._answers.append(started[command["reply"]])

    def answer(self, cue: str, at_ms: float, *, early: bool) -> list[tuple[float, e.Event]]:
        """What it says to a request now: what it said to the next such request of the tape, else to the last. Only to
        an early one does it say that the turn is not finished."""
        same = [answer for answer in self._answers if answer[1] == cue and answer[2]]
        if not early:
            same = [
                answer for answer in same if not any(isinstance(event, e.ReplyUnfinished) for _, event in answer[2])
            ]
        return next((events for begun, _, events in same if begun >= at_ms - 500), same[-1][2] if same else [])


class _Line:
    """Plays in real time."""

    def __init__(self) -> None:
        self.reply = 0
        self._made = self._ends = 0.0
        self._marks: list[float] = []

    def play(self, command: e.Play, now: float) -> list[tuple[float, e.Event]]:
        """Append audio; gives when its marks come back."""
        if command.reply != self.reply:
            self.reply, self._made, self._ends, self._marks = command.reply, 0.0, 0.0, []
        self._made += len(command.pcm) / 16
        self._ends = max(self._ends, now) + len(command.pcm) / 16
        self._marks += command.marks
        return self._due(command.marks)

    def pause(self, now: float) -> float:
        """Stop; gives the ms heard."""
        heard = self._made - max(0.0, self._ends - now)
        self._ends = inf
        return heard

    def resume(self, now: float, heard: float) -> list[tuple[float, e.Event]]:
        """Go on."""
        self._ends = now + self._made - heard
        return self._due([mark for mark in self._marks if mark > heard])

    def _due(self, marks: Iterable[float]) -> list[tuple[float, e.Event]]:
        return [(self._ends - (self._made - mark), e.Played(self.reply, mark)) for mark in marks]


class _Again:
    def __init__(self, head: Header, steps: list[Step], settings: Settings) -> None:
        self._session = Session(head.call, head.agent, settings, head.transfers, head.keys, parties=head.parties)
        self._engine, self._line = _Engine(steps), _Line()
        self._failures = _failed_transfers(steps)
        self._steps = steps
        self._coming: list[tuple[float, int, e.Event]] = []
        self._order = itertools.count()
        self._experience = Experience()
        self._heard = 0.0
        self._talked_over = False  # what has paused the reply last: no hold
        self._waiting: dict[int, float] = {}  # reply → the last speech before it
        turn = settings.turn
        self._cut_offs = CutOffs(
            onset=turn.onset_probability, offset=turn.offset_probability, min_speech_ms=turn.min_speech_ms
        )

    def run(self) -> Experience:
        step = None
        try:
            self._do(self._session.start())
            for step in self._steps:
                if isinstance(step.event, FROM_CALLER):
                    self._from_caller(step.event)
                if self._session.state is State.ENDED:
                    break
        except TapeError:
            raise
        except Exception as error:  # a tape may be made by hand
            raise impossible(step, error) from error
        self._experience.cut_offs = len(self._cut_offs.ends_ms)
        self._experience.discarded = self._session.discarded
        return self._experience

    def _from_caller(self, event: e.Event) -> None:
        match event:
            case e.Held():
                self._waiting.clear()  # the caller chose to wait
                self._cut_offs.held()
            case e.Partial():
                event = msgspec.structs.replace(event, utterance=self._session.utterance)
            case e.SpeechProbability():
                self._cut_offs.probability(event.value, event.at_ms)
        self._handle(event)
        self._deliver()

    def _deliver(self) -> None:
        for _ in range(MOST_AT_ONCE):
            if not self._coming or self._coming[0][0] > self._session.now_ms:
                return
            _, _, event = heapq.heappop(self._coming)
            self._handle(event)
        raise TapeError(f"more than {MOST_AT_ONCE} events at {self._session.now_ms:g} ms: it would never end")

    def _handle(self, event: e.Event) -> None:
        self._do(self._session.handle(event))

    def _later(self, events: Iterable[tuple[float, e.Event]]) -> None:
        for at, event in events:
            heapq.heappush(self._coming, (at, next(self._order), event))

    def _do(self, commands: list[e.Command]) -> None:
        now = self._session.now_ms
        for command in commands:
            match command:
                case e.StartReply():
                    said = self._engine.answer(command.request.cue, now, early=command.request.early)
                    changed = [(now + offset, _for(event, command.reply)) for offset, event in said]
                    self._later(changed or [(now, e.ReplyEnded(command.reply))])
                case e.CancelReply():
                    self._forget(command.reply)
                case e.Play():
                    if (end := self._waiting.pop(command.reply, None)) is not None:
                        self._experience.gaps.append(now - end)
                    self._later(self._line.play(command, now))
                case e.Press():
                    self._later([(now + duration_ms(command.keys), e.Played(command.reply, 0.0))])
                case e.Transfer() if failure := next(self._failures, None):
                    self._later([(now + failure[0], failure[1])])
                case e.Pause():
                    self._talked_over = command.onset_ms is not None
                    self._experience.pauses += self._talked_over
                    self._heard = self._line.pause(now)
                    self._coming = [item for item in self._coming if not isinstance(item[2], e.Played)]
                    heapq.heapify(self._coming)
                    self._handle(e.Paused(command.reply, self._heard))
                case e.Resume():
                    if self._talked_over:
                        self._experience.resumes += 1
                        self._cut_offs.dismissed()
                    self._later(self._line.resume(now, self._heard))
                case e.Interrupted():
                    self._experience.interruptions += 1
                case e.TurnDecided(cue=Cue.ANSWER):
                    keys = any(isinstance(other, e.StartReply) and other.request.digits for other in commands)
                    self._on_decided(command, keys=keys)

    def _on_decided(self, command: e.TurnDecided, *, keys: bool) -> None:
        self._experience.turns += 1
        if not keys:
            self._waiting[command.reply] = command.speech_end_ms
            self._cut_offs.decided(command.speech_end_ms)

    def _forget(self, reply: int) -> None:
        kept = [item for item in self._coming if getattr(item[2], "reply", 0) != reply or isinstance(item[2], e.Played)]
        self._coming = kept
        heapq.heapify(self._coming)


def _failed_transfers(steps: list[Step]) -> Iterator[tuple[float, e.Event]]:
    """After how long each of them failed."""
    begun = 0.0
    for step in steps:
        if isinstance(step.event, e.TransferFailed):
            yield step.at - begun, step.event
        if any(command["type"] == "Transfer" for command in step.commands):
            begun = step.at


def _for(event: e.Event, reply: int) -> e.Event:
    """The event as one of another reply."""
    changed: e.Event = msgspec.structs.replace(event, reply=reply)
    return changed
