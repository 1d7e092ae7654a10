"""The format of a call's tape: JSON lines in media time. Sans-I/O.

The first line is the header. Then come steps, each an event with the commands it led to, and notes: what went over the
wire, and how the call ended.

Audio is kept as G.711 mu-law at 8 kHz, which is what most lines carry and what everything is decided by: what a
wide-band line has besides (`wide`) is not on the tape. In commands only the audio's length and checksum are kept, since
it is there once already. The same tape gives the same commands to the bit (`agent.tape.replay`).
"""

import functools
import hashlib
import operator
import zlib
from base64 import b64decode, b64encode
from typing import Any

import msgspec

from agent import events as e
from agent.engine.base import ANY_DIGITS, HIDDEN
from audio import g711
from config.parties import NOBODY, Parties
from config.settings import Settings, from_sources
from config.sources import SettingsSource, nested

VERSION = 1
BEGINNING = b'{"tape":'  # of every tape
START = "Start"  # the first step's type: the call begins, with no event
# What a session's decisions depend on.
GROUPS = ("turn", "reply", "playout", "call")
# Fields that hold what people said, or their numbers; `metadata` tapes leave them out.
WORDS = frozenset(
    "text heard transcript words history arguments results tool_results result error state calls digits digit "
    "keys number parties heard_ms".split()
)


class Header(msgspec.Struct, frozen=True):
    """The first line."""

    tape: int
    call: str = ""
    agent: str = ""
    started: str = ""  # ISO 8601, UTC
    mode: str = ""  # "full" or "metadata"
    voxline: str = ""
    settings: dict[str, Any] = {}
    settings_hash: str = ""
    transfers: dict[str, str] = {}
    keys: str = ""  # pressed before the greeting
    parties: Parties = NOBODY  # who calls whom; in `metadata` mode as the log shows it
    incomplete: bool = False  # its end is missing: the server was killed, or its disk full or too slow

    def setting(self, group: str, key: str, default: float) -> float:
        """A number among the settings; the default where it is missing."""
        values = self.settings.get(group)
        value = values.get(key) if isinstance(values, dict) else None
        return float(value) if isinstance(value, int | float) else default


def header(call: str, agent: str, started: str, version: str, settings: Settings, **more: Any) -> Header:
    """The header for a call that begins now."""
    values = {group: getattr(settings, group).model_dump(mode="json") for group in GROUPS}
    digest = hashlib.sha256(msgspec.json.encode(values, order="deterministic")).hexdigest()[:16]
    return Header(VERSION, call, agent, started, settings.tape.mode, version, values, digest, **more)


def describe_event(event: e.Event | None) -> dict[str, Any]:
    """An event as plain data, audio in mu-law; None is the start of the call."""
    match event:
        case None:
            return {"type": START}
        case e.CallerAudio() | e.OperatorAudio():
            return {"type": type(event).__name__, "ulaw": mu_law(event.pcm).decode()}
        case e.ReplyAudio():
            plain: dict[str, Any] = msgspec.to_builtins(event)
            del plain["pcm"], plain["wide"]
            return plain | {"ulaw": mu_law(event.pcm).decode()}
        case e.ReplyDone() | e.ToolsFinished():
            return dict(_kept(msgspec.to_builtins(event)))
        case _:
            return dict(msgspec.to_builtins(event))


def describe_command(command: e.Command) -> dict[str, Any]:
    """A command as plain data, of audio only its length and checksum."""
    plain: dict[str, Any] = msgspec.to_builtins(command)
    if isinstance(command, e.Hear | e.Play):
        del plain["pcm"], plain["wide"]
        plain["audio"] = _digest(command.pcm)
        if isinstance(command, e.Hear) and command.expect_digits == ANY_DIGITS:  # tapes from before it was known
            del plain["expect_digits"]
    elif isinstance(command, e.StartReply):
        del plain["request"]["wide"]
        # The header says when the call began, `TurnDecided` when a turn ended, and a state what is over the agent.
        del plain["request"]["started_s"], plain["request"]["turn_end_ms"], plain["request"]["over"]
        plain["request"]["audio"] = _digest(command.request.audio)
        if not plain["request"]["parties"]:  # tapes from before it was known
            del plain["request"]["parties"]
    if isinstance(command, e.StartReply | e.RunTools):
        plain = _kept(plain)
    return plain


def parse_event(plain: dict[str, Any]) -> e.Event | None:
    """The event that `describe_event` described. TypeError or ValueError where there is no such event."""
    if plain["type"] == START:
        return None
    if "ulaw" in plain:
        plain = dict(plain)
        plain["pcm"] = g711.decode(b64decode(plain.pop("ulaw"), validate=True))
    event: e.Event = msgspec.convert(plain, type=_ANY_EVENT)
    return event


def settings_of(head: Header, changes: dict[str, Any] | None = None) -> Settings:
    """The settings a tape was made with; `changes` are dotted keys, such as {"turn.endpoint_ms": 300}."""
    return from_sources(
        [SettingsSource("the tape's settings", head.settings), SettingsSource("--set", nested(changes or {}))]
    )


def mu_law(pcm: bytes) -> bytes:
    """Audio as it stands on a tape, in base64."""
    return b64encode(g711.encode(pcm))


def without_words(value: Any) -> Any:
    """Plain data, as a `metadata` tape has it."""
    if isinstance(value, dict):
        return {key: without_words(item) for key, item in value.items() if key not in WORDS and key != "ulaw"}
    return [without_words(item) for item in value] if isinstance(value, list | tuple) else value


def _kept(value: Any) -> Any:
    """Plain data without secrets, and without the words of what was private."""
    if isinstance(value, dict):
        plain = {key: _kept(item) for key, item in value.items() if key not in ("private", "secrets")}
        if value.get("private") is True:
            plain |= {key: HIDDEN if key == "text" else {} for key in ("text", "arguments", "result") if key in plain}
        return plain
    return [_kept(item) for item in value] if isinstance(value, list | tuple) else value


def _digest(pcm: bytes) -> dict[str, int]:
    # There and back once, since mu-law has two zeros.
    return {"bytes": len(pcm), "crc32": zlib.crc32(g711.encode(g711.decode(g711.encode(pcm))))}


_ANY_EVENT: Any = functools.reduce(operator.or_, e.EVENTS.values())
