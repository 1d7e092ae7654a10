"""Feeds a tape to a fresh session and compares its decisions with those on the tape. Sans-I/O."""

from collections.abc import Iterable, Sequence
from typing import Any

import msgspec

from agent import events as e
from agent.listening.vad import Vad, VadStream
from agent.session import Session
from agent.tape.format import Header, describe_command, settings_of
from agent.tape.reader import Step, impossible
from config.exceptions import TapeError

CONTEXT = 5  # events shown before a difference
FED_AT_ONCE = 8192  # bytes a voice detector's stream is given at a time, half a second


class Difference(msgspec.Struct, frozen=True):
    """The first place where a replay did something else."""

    at_ms: float
    event: str
    expected: list[str]
    found: list[str]
    before: list[str]

    def __str__(self) -> str:
        lines = [f"  {line}" for line in self.before]
        lines += [f"> {self.at_ms:8.0f} ms  {self.event}"]
        lines += [f"  - {command}" for command in self.expected or ["(nothing)"]]
        lines += [f"  + {command}" for command in self.found or ["(nothing)"]]
        return "\n".join(lines)


class Replayed(msgspec.Struct, frozen=True):
    """What became of a replay."""

    events: int
    commands: int
    media_ms: float
    difference: Difference | None = None
    left_out_ms: float | None = None  # from where on a part is left out, which was private: the replay ends there


def replay(head: Header, steps: Iterable[Step], vad: Vad | None = None) -> Replayed:
    """Feed every event in order; stops at the first difference. With `vad` the speech probabilities are computed anew
    from the audio, instead of taken from the tape."""
    if head.mode != "full":
        raise TapeError(
            f"the tape of {head.call} holds {head.mode} only: without audio and words it cannot be replayed"
        )
    settings = settings_of(head)
    if vad:
        [steps] = judged_anew([list(steps)], vad)
    recent: list[str] = []
    step, events, commands = None, 0, 0
    left_out_ms: float | None = None
    try:
        session = Session(head.call, head.agent, settings, head.transfers, head.keys, parties=head.parties)
        for step in steps:
            found, state = _taken(session, step)
            elsewhere = bool(step.state) and state != step.state
            if found != step.commands or elsewhere:
                told, seen = (step.state, state) if elsewhere else ("", "")
                shown = _shown(step.commands, told), _shown(found, seen)
                what = Difference(step.at, _show_event(step.event), *shown, recent[-CONTEXT:])
                return Replayed(events, commands, session.now_ms, what)
            left_out_ms = step.at if step.left_out else None
            events += 1
            commands += len(found)
            if step.event is not None and not isinstance(step.event, e.CallerAudio | e.SpeechProbability):
                recent = [*recent[-CONTEXT:], f"{step.at:8.0f} ms  {_show_event(step.event)}"]
    except TapeError:
        raise
    except Exception as error:  # a tape may be made by hand
        raise impossible(step, error) from error
    return Replayed(events, commands, session.now_ms, left_out_ms=left_out_ms)


def _taken(session: Session, step: Step) -> tuple[list[dict[str, Any]], str]:
    """What the session does of a step, as it stands on a tape, and the state it is in then."""
    given = session.handle(step.event) if step.event else session.start()
    found = msgspec.json.decode(msgspec.json.encode(list(map(describe_command, given)))) if given else []
    return found, session.state.value


def judged_anew(tapes: Sequence[list[Step]], vad: Vad) -> list[list[Step]]:
    """The tapes with speech probabilities computed anew from their audio, the windows of all tapes together."""
    streams = [vad.open() for _ in tapes]
    found: dict[VadStream, dict[int, float]] = {stream: {} for stream in streams}
    audio = [b"".join(step.event.pcm for step in steps if isinstance(step.event, e.CallerAudio)) for steps in tapes]
    for at in range(0, max(map(len, audio), default=0), FED_AT_ONCE):
        for stream, pcm in zip(streams, audio, strict=True):
            stream.feed(pcm[at : at + FED_AT_ONCE])
        while results := vad.run():
            for stream, value, at_ms in results:
                found[stream][at_ms] = value
    for stream in streams:
        vad.close(stream)
    return [[_judged(step, found[stream]) for step in steps] for stream, steps in zip(streams, tapes, strict=True)]


def _judged(step: Step, found: dict[int, float]) -> Step:
    event = step.event
    if not isinstance(event, e.SpeechProbability):
        return step
    value = found.get(event.at_ms, event.value)
    return msgspec.structs.replace(step, event=e.SpeechProbability(value, event.at_ms))


def _show_event(event: e.Event | None) -> str:
    if event is None:
        return "Start"
    text = msgspec.json.encode(msgspec.to_builtins(event)).decode()
    return f"{type(event).__name__} {text[:200]}"


def _shown(commands: list[dict[str, object]], state: str) -> list[str]:
    return [_show(command) for command in commands] + ([f"state {state}"] if state else [])


def _show(command: dict[str, object]) -> str:
    return msgspec.json.encode(command).decode()[:300]
