"""The lanes of the page's time axis: states, latencies, and what happened on the line and in the engine.

Times are ms of media time; an `end` of None marks a single moment.
"""

from collections.abc import Iterator

import msgspec

from audio.rate import SAMPLES_PER_MS
from telephony.report.replies import Break, ReplyStory
from telephony.report.story import Story
from telephony.report.tape import CarrierEvent, Item, Tape, TapeLine, Tool

HOLD_NOTES = {"Held": "The caller put the call on hold", "Retrieved": "The call was off hold again"}


class StateSpan(msgspec.Struct, frozen=True):
    """A stretch of the conversation in one state."""

    name: str
    start: float
    end: float


class Latency(msgspec.Struct, frozen=True):
    """Time that somebody waited: decide, answer (for the agent), pause, resume, interrupt (over the agent)."""

    kind: str
    start: float
    end: float
    label: str
    total: float | None = None  # ms, where this bar ends a chain


class Tick(msgspec.Struct, frozen=True, omit_defaults=True):
    """Something that happened, in a lane: line or engine."""

    lane: str
    kind: str
    start: float
    label: str
    end: float | None = None


def states(tape: Tape) -> list[StateSpan]:
    """Which state when. The call begins idle."""
    changes = [(0.0, "idle"), *((line.at, line.state) for line in tape.lines if line.state)]
    ends = [at for at, _ in changes[1:]] + [max(tape.end_ms, changes[-1][0])]
    return [StateSpan(name, at, end) for (at, name), end in zip(changes, ends, strict=True) if end > at]


def latencies(story: Story) -> list[Latency]:
    """All waits, in order of their beginnings."""
    found = [wait for reply in story.replies.values() for wait in _until_heard(reply)]
    found += [wait for talk_over in story.breaks for wait in _until_understood(talk_over)]
    return sorted(found, key=lambda wait: wait.start)


def _until_heard(reply: ReplyStory) -> Iterator[Latency]:
    decided, ear = reply.decided_at, reply.ear_at
    if decided is None or ear is None or reply.cue not in ("answer", "greet"):
        return
    start = decided
    if reply.cue == "answer" and 0 < reply.speech_end_ms < decided and not reply.keys_at:
        start = reply.speech_end_ms
        yield Latency("decide", start, decided, "The caller fell silent → the turn was decided")
    label = "The call began" if reply.cue == "greet" else "The turn was decided"
    yield Latency("answer", decided, ear, f"{label} → the agent was heard", ear - start)


def _until_understood(talk_over: Break) -> Iterator[Latency]:
    silent = talk_over.over_ms if talk_over.pause_ms is None else talk_over.pause_ms
    if silent is not None and talk_over.onset_ms is not None:
        label = "The caller spoke up → the agent fell silent"
        yield Latency("pause", talk_over.onset_ms, silent, label, silent - talk_over.onset_ms)
    if talk_over.pause_ms is not None and talk_over.over_ms is not None:
        kind, ending = ("resume", "went on") if talk_over.resumed else ("interrupt", "gave way")
        length = talk_over.over_ms - talk_over.pause_ms
        yield Latency(kind, talk_over.pause_ms, talk_over.over_ms, f"The agent fell silent → it {ending}", length)


def ticks(tape: Tape, story: Story) -> list[Tick]:
    """What happened on the line and in the engine."""
    found = [Tick("line", "hole", start, "The ear ran dry within a reply", end) for start, end in story.holes]
    found += _tools(tape)
    for line in tape.lines:
        if line.wire:
            found += _wire_ticks(line.wire)
        if line.event:
            found += _event_ticks(line.at, line.event)
        for command in line.commands:
            found += _command_ticks(line.at, command)
    return sorted(found, key=lambda tick: tick.start)


def _wire_ticks(wire: CarrierEvent) -> Iterator[Tick]:
    match wire.kind:
        case "media out":
            yield Tick("line", "media", wire.at, f"Audio of reply {wire.reply} handed over")
        case "mark out":
            yield Tick("line", "mark", wire.at, f"Mark {wire.name} handed over")
        case "mark in":
            yield Tick("line", "back", wire.at, f"Mark {wire.name} came back")
        case "clear out":
            yield Tick("line", "clear", wire.at, "Clear: what was not heard yet is dropped")
        case "gap in":
            yield Tick("line", "gap", wire.at, f"{wire.ms:g} ms of the caller's audio are missing")
        case kind:
            yield Tick("line", "other", wire.at, kind)


def _event_ticks(at: float, event: Item) -> Iterator[Tick]:
    reply = f"Reply {event.reply}"
    match event.type:
        case "Dtmf":
            yield Tick("line", "key", at, f"Key {event.digit}")
        case "TransferFailed":
            yield Tick("line", "other", at, f"Nobody was reached: {event.reason}")
        case "Held" | "Retrieved":
            yield Tick("line", "other", at, HOLD_NOTES[event.type])
        case "HungUp":
            yield Tick("line", "end", at, "The line is gone")
        case "Shutdown":
            yield Tick("line", "end", at, "The server shuts down")
        case "Partial":
            yield Tick("engine", "partial", at, f"Heard so far: {event.text}")
        case "CallerSaid":
            yield Tick("engine", "partial", at, f"{reply}: transcript: {event.text}")
        case "Transcribed":
            yield Tick("engine", "partial", at, f"Transcript: {event.text}")
        case "ReplyText":
            yield Tick("engine", "text", at, f"{reply}: words:{event.text}")
        case "ReplyAudio":
            yield Tick("engine", "made", at, f"{reply}: {len(event.ulaw) / SAMPLES_PER_MS:g} ms of audio made")
        case "ReplyUnfinished":
            yield Tick("engine", "cancel", at, f"{reply}: the model wants more of the turn")
        case "ReplyFailed":
            yield Tick("engine", "failed", at, f"{reply}: failed: {event.reason}")


def _command_ticks(at: float, command: Item) -> Iterator[Tick]:
    match command.type:
        case "StartReply":
            yield Tick("engine", "asked", at, f"Reply {command.reply}: asked for")
        case "CancelReply":
            yield Tick("engine", "cancel", at, f"Reply {command.reply}: cancelled")
        case "Press":
            yield Tick("line", "press", at, f"Pressed {command.keys or 'keys'} for the agent")
        case "HangUp":
            yield Tick("line", "end", at, "The agent hangs up")
        case "Transfer":
            yield Tick("line", "end", at, f"Transfer to {command.number}")


def _tools(tape: Tape) -> Iterator[Tick]:
    for begun, ended, tools in tool_runs(tape):
        names = ", ".join(tool.name + (f" failed: {tool.error}" if tool.error else "") for tool in tools)
        yield Tick("engine", "tools", begun.at, f"Tools: {names or 'not on the tape'}", ended.at if ended else None)


def tool_runs(tape: Tape) -> list[tuple[TapeLine, TapeLine | None, tuple[Tool, ...]]]:
    """Tools asked for and finished (None: they never did), with their results, or else their calls."""
    runs: list[tuple[TapeLine, TapeLine | None, tuple[Tool, ...]]] = []
    waiting: dict[int | None, int] = {}  # by the reply: which of the runs
    for line in tape.lines:
        if line.event and line.event.type == "ToolsFinished" and line.event.reply in waiting:
            index = waiting.pop(line.event.reply)
            runs[index] = (runs[index][0], line, line.event.results or runs[index][2])
        for command in line.commands:
            if command.type == "RunTools":
                waiting[command.reply] = len(runs)
                runs.append((line, None, command.calls))
    return runs
