"""The table of everything on a tape except the audio and the speech probabilities, which the page draws."""

from collections import Counter
from collections.abc import Iterator
from typing import Any

import msgspec

from telephony.report.tape import COMMANDS, EVENTS, Tape, TapeLine

LONGEST = 500  # characters of a row's details
SHOWN_ELSEWHERE = frozenset({"type", "at", "clock", "out", "in", "reply"})  # in columns of their own


class TimelineRow(msgspec.Struct, frozen=True, array_like=True):
    """One row; `source` is event, command, state or line."""

    at: float
    source: str
    name: str
    reply: int | None
    details: str


def rows(tape: Tape) -> list[TimelineRow]:
    """All rows, in the tape's order."""
    return [row for line in tape.lines for row in _rows(line)]


def unknown_types(tape: Tape) -> dict[str, int]:
    """Types of events and commands that this version does not know, and how often each is on the tape."""
    found: Counter[str] = Counter()
    for line in tape.lines:
        found.update([line.event.type] if line.event and line.event.type not in EVENTS else [])
        found.update(command.type for command in line.commands if command.type not in COMMANDS)
    return dict(found)


def _rows(line: TapeLine) -> Iterator[TimelineRow]:
    raw = line.raw
    if line.wire:
        yield _row(line.at, "line", line.wire.kind, raw)
    elif line.event is None:
        yield _row(line.at, "line", "unknown", {key: value for key, value in raw.items() if key != "state"})
    elif _told(line, line.event.type):
        yield _row(line.at, "event", line.event.type, raw["event"])
    for command, item in zip(raw.get("commands", []), line.commands, strict=True):
        yield _row(line.at, "command", item.type, command)
    if line.state:
        yield TimelineRow(line.at, "state", line.state, None, "")


def _told(line: TapeLine, event: str) -> bool:
    return event != "CallerAudio" and (event != "SpeechProbability" or bool(line.commands or line.state))


def _row(at: float, source: str, name: str, fields: dict[str, Any]) -> TimelineRow:
    reply = fields.get("reply")
    details = " ".join(f"{key}={_brief(key, value)}" for key, value in fields.items() if key not in SHOWN_ELSEWHERE)
    if len(details) > LONGEST:
        details = details[: LONGEST - 1] + "…"
    return TimelineRow(at, source, name, reply if isinstance(reply, int) else None, details)


def _brief(key: str, value: Any) -> str:
    if key == "ulaw" and isinstance(value, str):
        return f"{len(value) * 3 // 4 - value.count('=')} bytes"
    if key == "words" and isinstance(value, list):
        return " ".join(str(word.get("text", "")) for word in value if isinstance(word, dict))
    return value if isinstance(value, str) else msgspec.json.encode(_rounded(value)).decode()


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return round(value, 3)
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    return [_rounded(item) for item in value] if isinstance(value, list) else value
