"""The tape of one call, read: everything that went into it and came out of it. Times are ms of media time."""

import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any, Literal

import msgspec

from config.exceptions import TapeError

VERSION = 1
LONGEST_MS = 86_400_000  # no call is longer than a day; keeps a damaged tape from asking for endless audio
GZIP = b"\x1f\x8b"

Ms = Annotated[float, msgspec.Meta(ge=0, le=LONGEST_MS)]

EVENTS = frozenset(
    "Start CallerAudio SpeechProbability Dtmf Played Paused TransferFailed Held Retrieved HungUp Partial CallerSaid "
    "Transcribed ReplyText ReplyAudio ReplyUnfinished ReplyDone ReplyEnded ReplyFailed ToolsFinished Shutdown".split()
)
COMMANDS = frozenset(
    "Hear ForgetUtterance Transcribe StartReply CancelReply RunTools Play Pause Resume Drop Press HangUp Transfer "
    "TurnDecided Interrupted Said".split()
)


class Word(msgspec.Struct, frozen=True):
    """A spoken word; ms from the start of its piece of audio."""

    text: str = ""
    start_ms: float = 0.0
    end_ms: Ms = 0.0


class Tool(msgspec.Struct, frozen=True):
    """A tool that was asked for or has run."""

    name: str = ""
    error: str = ""


class Request(msgspec.Struct, frozen=True):
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
    words: tuple[Word, ...] = ()
    reason: str = ""
    calls: tuple[Tool, ...] = ()
    results: tuple[Tool, ...] = ()
    cue: str = ""
    request: Request = Request()
    speech_end_ms: Ms = 0.0
    onset_ms: Ms | None = None
    heard: str | None = None
    role: str = ""
    interrupted: bool = False
    failed: bool = False
    number: str = ""


class Wire(msgspec.Struct, frozen=True):
    """What went to the carrier (`out`: media, mark, clear) or came from it (`into`: mark, gap)."""

    at: Ms
    out: str = ""
    into: str = msgspec.field(default="", name="in")
    reply: int = 0
    position: Annotated[int, msgspec.Meta(ge=0)] = 0  # samples from the reply's start
    plays_at: Ms = 0.0
    ulaw: bytes = b""
    name: str = ""
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


class Line(msgspec.Struct, frozen=True):
    """One line: an event with what followed from it, or something on the wire. `raw` is the line as it was written."""

    at: float
    raw: dict[str, Any]
    event: Item | None = None
    commands: tuple[Item, ...] = ()
    state: str = ""  # empty: as before
    wire: Wire | None = None


class Header(msgspec.Struct, frozen=True):
    """The first line."""

    tape: Literal[1]
    call: str = ""
    agent: str = ""
    started: str = ""
    mode: str = ""
    voxline: str = ""
    settings: dict[str, Any] = {}
    settings_hash: str = ""

    def setting(self, group: str, key: str, default: float) -> float:
        """A number among the settings; the default where it is missing."""
        values = self.settings.get(group)
        value = values.get(key) if isinstance(values, dict) else None
        return float(value) if isinstance(value, int | float) else default


class Tape(msgspec.Struct, frozen=True):
    """One call."""

    header: Header
    lines: tuple[Line, ...]
    end: dict[str, Any] | None = None  # what the last line tells of the call's end; None: it was cut off before
    end_ms: float = 0.0


def read_tape(path: Path) -> Tape:
    """Read a tape, plain or gzip. A last line that breaks off is ignored. Raises TapeError."""
    try:
        data = path.read_bytes()
    except OSError as error:
        raise TapeError(f"{path}: {error.strerror}") from None
    if data.startswith(GZIP):
        data = _unzip(data)
    texts = data.split(b"\n")
    header = _header(path, texts[0])
    lines: list[Line] = []
    end = None
    end_ms = 0.0
    for number, raw in _objects(path, texts[1:]):
        try:
            line = _line(raw)
        except msgspec.ValidationError as error:
            raise TapeError(f"{path}: line {number}: {error}") from None
        end_ms = max(end_ms, line.at)
        if isinstance(raw.get("end"), dict):
            end = raw["end"]
        else:
            lines.append(line)
    return Tape(header, tuple(lines), end, end_ms)


def _unzip(data: bytes) -> bytes:
    """As much as can be had: the file may lack its end, and may consist of several members."""
    out = bytearray()
    while data:
        member = zlib.decompressobj(wbits=31)
        try:
            out += member.decompress(data)
        except zlib.error:
            break
        data = member.unused_data
    return bytes(out)


def _header(path: Path, text: bytes) -> Header:
    try:
        raw = msgspec.json.decode(text)
    except ValueError:
        raw = None
    if not isinstance(raw, dict) or "tape" not in raw:
        raise TapeError(f"{path}: not the tape of a call")
    if raw["tape"] != VERSION:
        raise TapeError(f"{path}: a tape of version {raw['tape']!r}; this is read: {VERSION}")
    try:
        return msgspec.convert(raw, Header)
    except msgspec.ValidationError as error:
        raise TapeError(f"{path}: line 1: {error}") from None


def _objects(path: Path, texts: list[bytes]) -> Iterator[tuple[int, dict[str, Any]]]:
    """The lines as objects, each with its number in the file."""
    for number, text in enumerate(texts, 2):
        if not text.strip():
            continue
        try:
            raw = msgspec.json.decode(text)
        except ValueError as error:
            if number == len(texts) + 1:
                return
            raise TapeError(f"{path}: line {number}: {error}") from None
        if not isinstance(raw, dict):
            raise TapeError(f"{path}: line {number}: not an object")
        yield number, raw


def _line(raw: dict[str, Any]) -> Line:
    if "out" in raw or "in" in raw:
        wire = msgspec.convert(raw, Wire)
        return Line(wire.at, raw, wire=wire)
    at = msgspec.convert(raw.get("at"), Ms)
    event = raw.get("event")
    return Line(
        at,
        raw,
        event=_item(event, EVENTS) if event is not None else None,
        commands=tuple(_item(command, COMMANDS) for command in msgspec.convert(raw.get("commands", []), list[Any])),
        state=msgspec.convert(raw.get("state", ""), str),
    )


def _item(raw: object, known: frozenset[str]) -> Item:
    """Types of a newer voxline are kept by their name alone."""
    if isinstance(raw, dict) and isinstance(kind := raw.get("type"), str) and kind not in known:
        return Item(kind)
    return msgspec.convert(raw, Item)
