"""Reads the lines of a tape: all of them as plain data, or the header and the steps. Sans-I/O.

Lines that no call can have written are refused here, with the number of its line: JSON that is broken, too deep or of
the wrong shape, numbers that are out of range, and times that jump.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from agent import events as e
from agent.tape.format import VERSION, Header, parse_event
from config.exceptions import TapeError, VoxlineError

MAX_OBJECTS = 2_000_000  # objects and lists of a tape, more than two hours of a call; they are what takes memory
LONGEST_MS = 4 * 3_600_000  # no tape lasts longer
LONGEST_JUMP_MS = 60_000  # from one line to the next, and from handing audio over to its being heard
MAX_DEPTH = 32  # objects and lists within one another
LARGEST = 2**53  # of whole numbers: beyond it a float no longer holds them

NEEDED = ("call", "agent", "mode")  # in the header of a tape that is replayed; a page does without

# Only a line with more brackets can be too deep, and only one with such a row of digits can hold too large a number.
_BRACKETS = 48
_DIGITS = re.compile(rb"[0-9]{17}")


class Step(msgspec.Struct, frozen=True):
    """One event and what it led to. The first of a tape is the start of the call, with no event."""

    at: float
    event: e.Event | None
    commands: list[dict[str, Any]]
    state: str = ""  # where it changed
    line: int = 0  # its number in the tape
    left_out: bool = False  # what follows was private and is not on the tape, so that this is the last step to be read


def read(lines: Iterable[bytes]) -> tuple[Header, Iterator[Step]]:
    """The header and the steps of a tape, up to where a part is left out because it was private. A last line that
    breaks off is ignored: the server was killed.

    Raises TapeError for what is no tape, and for one of another version.
    """
    rest = iter(lines)
    head = read_header(rest)
    if lacking := [name for name in NEEDED if not getattr(head, name)]:
        raise TapeError(f"this is no tape that can be replayed: line 1: `{lacking[0]}` is missing")
    return head, _steps(rest)


def read_header(lines: Iterator[bytes]) -> Header:
    """The first line. TapeError for what is no tape, and for one of another version."""
    try:
        line = next(lines)
    except StopIteration:
        raise TapeError("this is no tape: it is empty") from None
    try:
        head = _decode(line)
    except (ValueError, RecursionError) as error:
        raise TapeError(f"this is no tape: {error}") from None
    version = head.get("tape")
    if not isinstance(version, int):
        raise TapeError("this is no tape: its first line names no version")
    if version != VERSION:
        raise TapeError(f"a tape of version {version}; this voxline reads version {VERSION}")
    try:
        return msgspec.convert(head, Header)
    except msgspec.ValidationError as error:
        raise TapeError(f"this is no tape: line 1: {error}") from None


def read_objects(lines: Iterable[bytes]) -> Iterator[tuple[int, dict[str, Any]]]:
    """What follows: each line with its number in the file. A last line that breaks off is left out: the server was
    killed. TapeError names the line that is wrong."""
    before_ms, objects = 0.0, 0
    for number, line in enumerate(lines, 2):
        objects += _brackets(line)
        if objects > MAX_OBJECTS:
            raise TapeError(f"line {number}: more than {MAX_OBJECTS} objects and lists up to here")
        try:
            item = _decode(line)
            before_ms = _check(item, before_ms)
        except (ValueError, RecursionError) as error:
            if not line.endswith(b"\n"):
                return
            raise TapeError(f"line {number}: {error}") from None
        yield number, item


def impossible(step: Step | None, error: Exception) -> TapeError:
    """What to raise when a step makes a session fail: each value may be valid, and yet no call can have gone so."""
    reason = str(error) if isinstance(error, VoxlineError) else f"{type(error).__name__}: {error}"
    return TapeError(f"line {step.line if step else 1}: no call can have gone like this: {reason}")


def _steps(lines: Iterator[bytes]) -> Iterator[Step]:
    for number, item in read_objects(lines):
        if "event" not in item:
            continue
        event = item["event"]
        try:
            read_event = parse_event(event)
        except (TypeError, ValueError) as error:
            raise TapeError(f"line {number}: {error}") from None
        commands = item.get("commands", [])
        left_out = any(command["type"] == "Record" and command.get("on") is False for command in commands)
        yield Step(item["at"], read_event, commands, item.get("state", ""), number, left_out)
        if left_out:
            return


def _decode(line: bytes) -> dict[str, Any]:
    item = msgspec.json.decode(line)
    if _brackets(line) > _BRACKETS or _DIGITS.search(line):
        _check_within(item, MAX_DEPTH)
    if not isinstance(item, dict):
        raise ValueError("not an object")
    return item


def _brackets(line: bytes) -> int:
    return line.count(b"{") + line.count(b"[")


def _check_within(value: Any, depth: int) -> None:
    if isinstance(value, int) and abs(value) > LARGEST:
        raise ValueError(f"a whole number beyond {LARGEST}")
    if not isinstance(value, dict | list):
        return
    if depth == 0:
        raise ValueError(f"objects and lists more than {MAX_DEPTH} deep")
    for item in value.values() if isinstance(value, dict) else value:
        _check_within(item, depth - 1)


def _check(item: dict[str, Any], before_ms: float) -> float:
    """Check its shape and its time, which is returned."""
    at = _time(item, "at", before_ms)
    if at < before_ms:
        raise ValueError(f"it goes back in time, from {before_ms:g} to {at:g} ms")
    if "plays_at" in item:
        _time(item, "plays_at", at)
    if "event" in item and not _typed(item["event"]):
        raise ValueError("the event is not an object with a type")
    commands = item.get("commands", ())
    if not isinstance(commands, list | tuple) or not all(map(_typed, commands)):
        raise ValueError("the commands are not a list of objects with types")
    if not isinstance(item.get("state", ""), str):
        raise ValueError("the state is not a string")
    return at


def _typed(item: Any) -> bool:
    return isinstance(item, dict) and isinstance(item.get("type"), str)


def _time(item: dict[str, Any], key: str, since_ms: float) -> float:
    """A time in ms that is not much later than `since_ms`."""
    at = item.get(key)
    if not isinstance(at, int | float) or isinstance(at, bool):
        raise ValueError(f"{key!r} is missing or not a number")
    if not 0 <= at <= LONGEST_MS:
        raise ValueError(f"{key!r} is {at:g} ms; a tape lasts {LONGEST_MS} ms at most")
    if at > since_ms + LONGEST_JUMP_MS:
        raise ValueError(f"{key!r} jumps from {since_ms:g} to {at:g} ms")
    return float(at)
