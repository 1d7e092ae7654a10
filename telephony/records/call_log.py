"""Collects what is recorded of one call. Sans-I/O: every time is handed in.

The bridge tells it what happens, and it hands on the call's whole state whenever there is something that should survive
a crash: at the beginning, at the answer, after every turn, after every tool, and at the end.
"""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from agent import events as e
from agent.engine.base import Cue, ToolResult
from config.parties import Numbers, Parties, masked
from telephony.lines.ending import Ending, Transfer
from telephony.lines.line import Line
from telephony.records.call_record import Act, CallRecord, ToolRun, Turn
from telephony.records.text import clean, clean_json

MAX_TURNS = 1000  # of a transcript; later ones are left out
MAX_TRANSCRIPT = 200_000  # characters
MAX_TOOLS = 100
MAX_TOOL_BYTES = 5000  # of a tool's arguments, and of its result; longer ones are left out
MAX_LATENCIES = 1000
MAX_ACTS = 1000

Put = Callable[[CallRecord], None]
# Line.counts, by the record's names.
COUNTS = {
    "frames": "frames",
    "frames_late": "frames_late",
    "frames_damaged": "frames_damaged",
    "gaps": "gaps",
    "gap_milliseconds": "gap_ms",
    "playout_underruns": "underruns",
}


class CallLog:
    """The log of one call. `put` is given each of its states; with `words` they hold what was said."""

    def __init__(self, record: CallRecord, put: Put, *, words: bool, numbers: Numbers, hooked: bool = False) -> None:
        """`record` is the first state: see `first_state`. With `hooked` its states hold `filled`, for
        hooks.after_call."""
        self.filled: Mapping[str, str] = {}  # by the dialogue; it grows
        self._fields: dict[str, Any] = {}
        self._first = record
        self._seq = record.seq
        self._put = put
        self._words = words
        self._numbers = numbers
        self._hooked = hooked
        self._transcript: list[Turn] = []
        self._chars = 0  # of it
        self._tools: list[ToolRun] = []
        self._acts: list[Act] = []
        self._waits_ms: dict[int, float] = {}  # by reply, until its first audio: what deciding the turn took
        self._latencies_ms: list[tuple[int, int]] = []  # each with its turn's number
        self._turns = self._barge_ins = self._resumes = self._failed = 0
        self._paused_for_speech = False
        self.recording = ""  # its name, where the call is recorded

    @property
    def id(self) -> int:
        """The call's, see call_id.py."""
        return self._first.id

    def begun(self) -> None:
        """The call has its first state."""
        self._put(self._first)

    def answered(self, now_ms: int) -> None:
        """The line is open."""
        self._fields["answered"] = now_ms
        self._state(now_ms)

    def told(self, command: e.Command, now_ms: int) -> None:
        """A command of the session, other than for the engine or for audio."""
        match command:
            case e.TurnDecided() if command.cue == Cue.ANSWER:
                self._turns += 1
                self._waits_ms = {command.reply: command.at_ms - command.speech_end_ms}
            case e.Pause():
                self._paused_for_speech = command.onset_ms is not None
            case e.Resume():
                self._resumes += self._paused_for_speech
            case e.Interrupted():
                self._barge_ins += 1
            case e.HangUp():
                self._failed += command.failed
            case e.Transfer():
                self._fields["transfer"] = self._number(command.number)
            case e.Said():
                self._said(command)
                self._state(now_ms)

    def _said(self, said: e.Said) -> None:
        text = clean(said.text)
        if self._words and len(self._transcript) < MAX_TURNS and self._chars + len(text) <= MAX_TRANSCRIPT:
            self._chars += len(text)
            self._transcript.append(Turn(said.role, text, round(said.at_ms), said.interrupted))

    def answer_begins(self, reply: int, took_ms: float) -> None:
        """The first audio of a reply has left, `took_ms` after its turn was decided."""
        waited_ms = self._waits_ms.pop(reply, None)
        if waited_ms is not None and len(self._latencies_ms) < MAX_LATENCIES:
            self._latencies_ms.append((round(waited_ms + took_ms), self._turns))

    def ran(self, result: ToolResult, at_ms: float, now_ms: int) -> None:
        """A tool has run, or could not; `at_ms` is media time."""
        if len(self._tools) == MAX_TOOLS:
            return
        run = ToolRun(clean(result.name), round(at_ms), ok=not result.error)
        if self._words:
            given, found = _short(result.arguments), _short(result.result)
            run = msgspec.structs.replace(run, arguments=given, result=found, error=clean(result.error))
        self._tools.append(run)
        self._state(now_ms)

    def acted(self, act: Act) -> None:
        """An operator has done something."""
        if len(self._acts) < MAX_ACTS:
            self._acts.append(msgspec.structs.replace(act, who=clean(act.who), details=clean_json(act.details)))
            self._state(act.at)

    def ended(self, ending: Ending, counts: Mapping[str, int], media_ms: float, now_ms: int) -> None:
        """The call is over; `counts` are Line.counts."""
        outcome = ending.outcome
        end = ending.end
        self._fields |= {COUNTS[name]: value for name, value in counts.items() if name in COUNTS}
        if isinstance(outcome, Transfer):
            self._fields["transfer"] = self._number(outcome.number)
        gap_ms = self._fields.get("gap_ms", 0)
        self._fields |= {
            "status": "ended",
            "ended": now_ms,
            "ended_by": end.by if end else "server",
            "reason": clean(end.reason) if end else "cancelled",
            "outcome": type(outcome).__name__.lower(),
            "media_ms": round(media_ms),
            "loss": round(gap_ms / media_ms, 4) if media_ms else 0.0,
        }
        self._state(now_ms)

    def _number(self, number: str) -> str:
        match self._numbers:
            case "full":
                return clean(number)
            case "masked":
                return clean(masked(number))
            case "off":
                return ""

    def _state(self, now_ms: int) -> None:
        self._seq += 1
        state = msgspec.structs.replace(
            self._first,
            seq=self._seq,
            updated=now_ms,
            recording=self.recording,
            turns=self._turns,
            barge_ins=self._barge_ins,
            resumes=self._resumes,
            replies_failed=self._failed,
            transcript=tuple(self._transcript),
            tools=tuple(self._tools),
            fields={clean(name): clean(value) for name, value in self.filled.items()} if self._hooked else {},
            acts=tuple(self._acts),
            **latencies(self._latencies_ms),
            **self._fields,
        )
        self._put(state)


def first_state(line: Line, agent: str, numbers: Numbers, at_ms: int, **own: Any) -> CallRecord:
    """The state of a call that begins at this Unix time in ms; `own` are its id, host, run and tape."""
    parties = line.parties.known(numbers)
    return CallRecord(
        seq=1,
        call=clean(line.call_id),
        carrier_id=clean(carrier_id(line.call_id, line.parties, numbers)),
        line=line.carrier,
        trunk=line.trunk,
        direction="outbound" if line.outbound else "inbound",
        caller=clean(parties.caller),
        called=clean(parties.called),
        caller_name=clean(parties.caller_name),
        forwarded_from=clean(parties.forwarded_from),
        agent=agent,
        started=at_ms,
        updated=at_ms,
        **own,
    )


def _short(value: dict[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = clean_json(value)
    return plain if len(msgspec.json.encode(plain)) <= MAX_TOOL_BYTES else {}


def carrier_id(call_id: str, parties: Parties, numbers: Numbers) -> str:
    """The carrier's own id of a call: SIP's Call-ID, which may end in the caller's host, else the call's id."""
    sip = parties.ids.get("sip_call", "")
    return (sip.partition("@")[0] if numbers == "off" else sip) or call_id


def latencies(measured: list[tuple[int, int]]) -> dict[str, int | None]:
    """The record's fields of latencies in ms, each with its turn's number."""
    if not measured:
        return {}
    values = sorted(value for value, _ in measured)
    worst, turn = max(measured)
    return {
        "latency_p50": percentile(values, 50),
        "latency_p95": percentile(values, 95),
        "latency_max": worst,
        "latency_worst_turn": turn,
    }


def percentile(values: list[int], percent: int) -> int:
    """The smallest of these sorted values that at least `percent` per cent of them do not exceed (nearest rank)."""
    return values[max(0, -(-len(values) * percent // 100) - 1)]
