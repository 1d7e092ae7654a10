"""The tape of one call, read: everything that went into it and came out of it. Times are ms of media time."""

from pathlib import Path
from typing import Annotated, Any

import msgspec

from agent import events as e
from agent.tape.file import read_lines
from agent.tape.format import START, Header
from agent.tape.reader import LONGEST_MS, read_header, read_objects
from config.exceptions import TapeError

Ms = Annotated[float, msgspec.Meta(ge=0, le=LONGEST_MS)]

EVENTS = frozenset({START, *e.EVENTS})
COMMANDS = frozenset(e.COMMANDS)
DRAWN = frozenset({"CallerAudio", "SpeechProbability"})  # 80 times a second, and shown in no other way
NOTHING: dict[str, Any] = {}


class TapeWord(msgspec.Struct, frozen=True):
    """A spoken word; ms from the start of its piece of audio."""

    text: str = ""
    start_ms: Annotated[float, msgspec.Meta(ge=-LONGEST_MS, le=LONGEST_MS)] = 0.0
    end_ms: Ms = 0.0


class Tool(msgspec.Struct, frozen=True):
    """A tool that was asked for or has run."""

    name: str = ""
    error: str = ""


class ModelRequest(msgspec.Struct, frozen=True):
    """What a model was asked."""

    digits: str | None = None  # None: the tape does not tell


class Item(msgspec.Struct, frozen=True):
    """An event or a command: the fields of all types that the report looks into; what the tape left out is empty."""

    type: str
    reply: int | None = None
    utterance: int | None = None
    ulaw: bytes = b""
    value: float = 0.0
    at_ms: Ms = 0.0
    ms: Ms = 0.0
    digit: str = ""
    keys: str = ""
    text: str = ""
    meaning: str | None = None
    words: tuple[TapeWord, ...] = ()
    reason: str = ""
    calls: tuple[Tool, ...] = ()
    results: tuple[Tool, ...] = ()
    cue: str = ""
    request: ModelRequest = ModelRequest()
    speech_end_ms: Ms = 0.0
    onset_ms: Ms | None = None
    heard: str | None = None
    role: str = ""
    interrupted: bool = False
    failed: bool = False
    number: str = ""
    on: bool = True


class CarrierEvent(msgspec.Struct, frozen=True):
    """What went to the carrier (`out`: media, mark, clear, underrun) or came from it (`into`: mark, gap)."""

    at: Ms
    out: str = ""
    into: str = msgspec.field(default="", name="in")
    reply: int = 0
    position: Annotated[int, msgspec.Meta(ge=0, le=8 * LONGEST_MS)] = 0  # samples from the reply's start
    plays_at: Ms = 0.0
    ulaw: bytes = b""
    name: Annotated[str, msgspec.Meta(max_length=64)] = ""
    ms: Ms = 0.0

    @property
    def kind(self) -> str:
        """Such as "media out"."""
        return f"{self.out} out" if self.out else f"{self.into} in"

    @property
    def mark(self) -> tuple[int, int] | None:
        """The reply and the position (samples) that a mark is named after."""
        parts = self.name.split(".")
        if len(parts) < 2 or not (parts[0].isdecimal() and parts[-1].isdecimal()):
            return None
        return int(parts[0]), int(parts[-1])


class TapeLine(msgspec.Struct, frozen=True):
    """One line: an event with what followed from it, or something on the wire. `raw` is the line as it was written,
    or nothing where it is only drawn."""

    at: float
    raw: dict[str, Any]
    event: Item | None = None
    commands: tuple[Item, ...] = ()
    state: str = ""  # empty: as before
    wire: CarrierEvent | None = None


class Tape(msgspec.Struct, frozen=True):
    """One call."""

    header: Header
    lines: tuple[TapeLine, ...]
    end: dict[str, Any] | None = None  # what the last line tells of the call's end; None: it was cut off before
    end_ms: float = 0.0


def read_tape(path: Path) -> Tape:
    """Read a tape, plain or gzip. A last line that breaks off is ignored. TapeError names the file, and in it the line
    that is wrong."""
    lines: list[TapeLine] = []
    end = None
    end_ms = 0.0
    try:
        rest = read_lines(path)
        header = read_header(rest)
        for number, raw in read_objects(rest):
            line = _line(number, raw)
            end_ms = max(end_ms, line.at)
            if isinstance(raw.get("end"), dict):
                end = raw["end"]
            else:
                lines.append(line)
    except OSError as error:
        raise TapeError(f"{path}: {error.strerror or error}") from None
    except TapeError as error:
        raise TapeError(f"{path}: {error}") from None
    return Tape(header, tuple(lines), end, end_ms)


def _line(number: int, raw: dict[str, Any]) -> TapeLine:
    try:
        if "out" in raw or "in" in raw:
            return TapeLine(raw["at"], raw, wire=msgspec.convert(raw, CarrierEvent))
        event = _item(raw["event"], EVENTS) if "event" in raw else None
        commands = tuple(_item(command, COMMANDS) for command in raw.get("commands", ()))
        drawn = event is not None and event.type in DRAWN and not commands and "state" not in raw
        return TapeLine(raw["at"], NOTHING if drawn else raw, event, commands, raw.get("state", ""))
    except msgspec.ValidationError as error:
        raise TapeError(f"line {number}: {error}") from None


def _item(raw: dict[str, Any], known: frozenset[str]) -> Item:
    """Types of a newer voxline are kept by their name alone."""
    return Item(raw["type"]) if raw["type"] not in known else msgspec.convert(raw, Item)
