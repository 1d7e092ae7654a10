"""A call's tape: every event with the commands it led to, as JSON lines in media time. Sans-I/O.

Audio is kept as G.711 mu-law at 8 kHz, which is what most lines carry and what everything is decided by: what a
wide-band line has besides (`wide`) is not on the tape. In commands only the audio's length and checksum are kept, since
it is there once already. The same tape gives the same commands to the bit (`agent.tape.replay`).
"""

import audioop
import hashlib
import zlib
from base64 import b64decode, b64encode
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from agent import events as e
from agent.state import State
from agent.tape.reader import VERSION, read_header, read_objects
from config.exceptions import TapeError, VoxlineError
from config.parties import NOBODY, Parties
from config.settings import Settings, from_sources
from config.sources import Source, nested

# What a session's decisions depend on.
GROUPS = ("turn", "reply", "playout", "call")
WORDS = frozenset(
    "text heard transcript words history arguments results tool_results result error state calls digits digit "
    "keys parties".split()
)


class Header(msgspec.Struct, frozen=True):
    """The first line."""

    tape: int
    call: str
    agent: str
    started: str  # ISO 8601, UTC
    mode: str  # "full" or "metadata"
    voxline: str
    settings: dict[str, Any]
    settings_hash: str
    transfers: dict[str, str] = {}
    keys: str = ""  # pressed before the greeting
    parties: Parties = NOBODY  # who calls whom; in `metadata` mode as the log shows it
    incomplete: bool = False  # its end is missing: the server was killed, or its disk full or too slow


class Step(msgspec.Struct, frozen=True):
    """One event and what it led to. The first of a tape is the start of the call, with no event."""

    at: float
    event: e.Event | None
    commands: list[dict[str, Any]]
    state: str = ""  # where it changed
    line: int = 0  # its number in the tape


def header(call: str, agent: str, started: str, version: str, settings: Settings, **more: Any) -> Header:
    """The header for a call that begins now."""
    values = {group: getattr(settings, group).model_dump(mode="json") for group in GROUPS}
    digest = hashlib.sha256(msgspec.json.encode(values, order="deterministic")).hexdigest()[:16]
    return Header(VERSION, call, agent, started, settings.tape.mode, version, values, digest, **more)


class Recorder:
    """Gives the line for each step; in `metadata` mode without audio and words."""

    def __init__(self, *, words: bool) -> None:
        self._words = words
        self._state = State.IDLE
        self._encode = msgspec.json.Encoder(order="deterministic").encode

    def step(
        self, at_ms: float, event: e.Event | None, commands: list[e.Command], state: State, clock_ms: float = 0.0
    ) -> bytes:
        """The line for one event; `clock_ms` is a steady clock's time since the call began."""
        changed = state is not self._state
        self._state = state
        if not commands and not changed and type(event) is e.CallerAudio and self._words:  # 50 times a second
            return b'{"at":%r,"event":{"type":"CallerAudio","ulaw":"%s"}}\n' % (at_ms, b64encode(_ulaw(event.pcm)))
        line: dict[str, Any] = {"at": at_ms, "event": describe_event(event) if event else {"type": "Start"}}
        if commands:
            line["clock"] = clock_ms
            line["commands"] = [describe_command(command) for command in commands]
        if not self._words:
            line = _without_words(line)
        if changed:
            line["state"] = state.value
        return self._encode(line) + b"\n"

    def note(self, at_ms: float, **fields: Any) -> bytes:
        """A line that is no step: the wire, or the end."""
        if not self._words:
            fields.pop("ulaw", None)
        return self._encode({"at": at_ms, **fields}) + b"\n"


def describe_event(event: e.Event) -> dict[str, Any]:
    """An event as plain data, audio in mu-law."""
    match event:
        case e.CallerAudio():
            return {"type": "CallerAudio", "ulaw": b64encode(_ulaw(event.pcm)).decode()}
        case e.ReplyAudio():
            plain: dict[str, Any] = msgspec.to_builtins(event)
            del plain["pcm"], plain["wide"]
            return plain | {"ulaw": b64encode(_ulaw(event.pcm)).decode()}
        case _:
            return dict(msgspec.to_builtins(event))


def describe_command(command: e.Command) -> dict[str, Any]:
    """A command as plain data, of audio only its length and checksum."""
    plain: dict[str, Any] = msgspec.to_builtins(command)
    if isinstance(command, e.Hear | e.Play):
        del plain["pcm"], plain["wide"]
        plain["audio"] = _digest(command.pcm)
    elif isinstance(command, e.StartReply):
        del plain["request"]["wide"]
        plain["request"]["audio"] = _digest(command.request.audio)
        if not plain["request"]["parties"]:  # tapes from before it was known
            del plain["request"]["parties"]
    return plain


def read(lines: Iterable[bytes]) -> tuple[Header, Iterator[Step]]:
    """The header and the steps of a tape. A last line that breaks off is ignored: the server was killed.

    Raises TapeError for what is no tape, and for one of another version.
    """
    rest = iter(lines)
    try:
        head = msgspec.convert(read_header(rest), Header)
    except msgspec.ValidationError as error:
        raise TapeError(f"this is no tape: line 1: {error}") from None
    return head, _steps(rest)


def _steps(lines: Iterator[bytes]) -> Iterator[Step]:
    for number, item in read_objects(lines):
        if "event" not in item:
            continue
        event = item["event"]
        try:
            read_event = None if event["type"] == "Start" else parse_event(event)
        except (TypeError, ValueError) as error:
            raise TapeError(f"line {number}: {error}") from None
        yield Step(item["at"], read_event, item.get("commands", []), item.get("state", ""), number)


def impossible(step: Step | None, error: Exception) -> TapeError:
    """What to raise when a step made a session fail: each of its values may be right, and yet no call have gone so."""
    reason = str(error) if isinstance(error, VoxlineError) else f"{type(error).__name__}: {error}"
    return TapeError(f"line {step.line if step else 1}: no call can have gone like this: {reason}")


def parse_event(plain: dict[str, Any]) -> e.Event:
    """The event that `describe_event` described."""
    if "ulaw" in plain:
        plain = dict(plain)
        plain["pcm"] = audioop.ulaw2lin(b64decode(plain.pop("ulaw"), validate=True), 2)
    event: e.Event = msgspec.convert(plain, type=_ANY_EVENT)
    return event


def settings_of(head: Header, changes: dict[str, Any] | None = None) -> Settings:
    """The settings a tape was made with; `changes` are dotted keys, such as {"turn.endpoint_ms": 300}."""
    return from_sources([Source("the tape's settings", head.settings), Source("--set", nested(changes or {}))])


def _ulaw(pcm: bytes) -> bytes:
    return audioop.lin2ulaw(pcm, 2)


def _digest(pcm: bytes) -> dict[str, int]:
    # There and back once, since mu-law has two zeros.
    return {"bytes": len(pcm), "crc32": zlib.crc32(_ulaw(audioop.ulaw2lin(_ulaw(pcm), 2)))}


def _without_words(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_words(item) for key, item in value.items() if key not in WORDS and key != "ulaw"}
    return [_without_words(item) for item in value] if isinstance(value, list | tuple) else value


_ANY_EVENT = (
    e.CallerAudio
    | e.SpeechProbability
    | e.Dtmf
    | e.Played
    | e.Paused
    | e.TransferFailed
    | e.Held
    | e.Retrieved
    | e.HungUp
    | e.Partial
    | e.CallerSaid
    | e.Transcribed
    | e.ReplyText
    | e.ReplyUnfinished
    | e.ReplyAudio
    | e.ReplyDone
    | e.ReplyEnded
    | e.ReplyFailed
    | e.ToolsFinished
    | e.Shutdown
)
