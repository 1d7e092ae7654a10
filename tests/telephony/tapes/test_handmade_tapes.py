"""Tapes that no call has written: report, replay and sweep refuse them alike, with the line that is wrong and in little
memory; and whatever becomes of a tape, the end is a result or such a refusal."""

import gzip
import json
import tracemalloc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent.tape import reader as tape_reader
from telephony.cli.main import main
from tests.agent.phone import Call
from tests.known_calls import MadeCall

COMMANDS: dict[str, list[str]] = {
    "report": [],
    "replay": [],
    "sweep": ["--set", "turn.endpoint_ms=200,500"],
}
EVERYWHERE = pytest.mark.parametrize("command", COMMANDS)
MAX_MEMORY = 200_000_000  # bytes of Python's while such a tape is read


@pytest.fixture(scope="module")
def lines() -> list[bytes]:
    """Of a real one: greeted, answered, interrupted, hung up on."""
    return MadeCall(1, 300, keys="12#").tape().splitlines(keepends=True)[:900]


def run(command: str, path: Path) -> int:
    return main([command, str(path), *COMMANDS[command]])


def changed(lines: list[bytes], number: int, change: Callable[[dict[str, Any]], Any]) -> bytes:
    """The tape with the line of this number (from 1) changed."""
    item = json.loads(lines[number - 1])
    change(item)
    return b"".join([*lines[: number - 1], json.dumps(item).encode() + b"\n", *lines[number:]])


def deep(depth: int) -> bytes:
    return b'{"at":0,"x":' + b"[" * depth + b"]" * depth + b"}\n"


HANDMADE: dict[str, tuple[Callable[[list[bytes]], bytes], str]] = {
    "a day later": (lambda lines: changed(lines, 300, lambda item: item.update(at=86_400_000)), "line 300: 'at' is"),
    "a minute later": (lambda lines: changed(lines, 300, lambda item: item.update(at=80_000)), "line 300: 'at' jumps"),
    "time goes back": (lambda lines: changed(lines, 300, lambda item: item.update(at=0)), "line 300: it goes back"),
    "played a day later": (
        lambda lines: b"".join([*lines[:50], b'{"at":900,"out":"media","plays_at":86000000,"ulaw":"AAAA"}\n']),
        "line 51: 'plays_at' is",
    ),
    "no time": (lambda lines: changed(lines, 300, lambda item: item.pop("at")), "line 300: 'at' is missing"),
    "a hundred thousand deep": (lambda lines: lines[0] + deep(100_000), "line 2: "),
    "ninety deep": (lambda lines: lines[0] + deep(90), "line 2: objects and lists more than 32 deep"),
    "a header a thousand deep": (lambda lines: deep(1000).replace(b'"at":0', b'"tape":1'), "this is no tape: "),
    "commands that are none": (lambda lines: changed(lines, 300, lambda item: item.update(commands=5)), "line 300: "),
    "a command that is none": (lambda lines: changed(lines, 300, lambda item: item.update(commands=[5])), "line 300: "),
    "an event that is none": (lambda lines: changed(lines, 300, lambda item: item.update(event=[])), "line 300: "),
    "a state that is none": (lambda lines: changed(lines, 300, lambda item: item.update(state={})), "line 300: "),
    "a huge number": (lambda lines: changed(lines, 300, lambda item: item.update(x=10**400)), "line 300: "),
    "an empty line": (lambda lines: b"".join([*lines[:299], b"\n", *lines[300:]]), "line 300: "),
    "a gzip of zeros": (lambda lines: gzip.compress(lines[0] + bytes(20_000_000)), "line 2: longer than"),
    "a gzip of many lines": (
        lambda lines: gzip.compress(lines[0] + b'{"at":0,"x":"%s"}\n' % (b"x" * 900_000) * 30),
        "bytes",
    ),
    "a gzip that is damaged": (lambda lines: damaged(gzip.compress(b"".join(lines))), ": line "),
}


def damaged(packed: bytes) -> bytes:
    middle = len(packed) // 2
    return packed[:middle] + bytes(64) + packed[middle + 64 :]


@EVERYWHERE
@pytest.mark.parametrize("name", HANDMADE)
def test_it_is_refused_with_its_line(
    name: str, command: str, lines: list[bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    make, message = HANDMADE[name]
    path = tmp_path / "call.jsonl"
    path.write_bytes(make(lines))
    tracemalloc.start()
    try:
        assert run(command, path) == 2
        assert tracemalloc.get_traced_memory()[1] < MAX_MEMORY
    finally:
        tracemalloc.stop()
    printed = capsys.readouterr()
    assert printed.err.startswith(f"voxline: {path}: ")
    assert message in printed.err
    assert len(printed.err.splitlines()) == 1


@EVERYWHERE
def test_the_objects_of_a_tape_are_bounded(
    command: str,
    lines: list[bytes],
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """They take far more memory than their text."""
    monkeypatch.setattr(tape_reader, "MAX_OBJECTS", 5000)
    path = tmp_path / "call.jsonl"
    path.write_bytes(lines[0] + b'{"at":0,"x":[%s{}]}\n' % (b"{}," * 998) * 6)
    assert run(command, path) == 2
    assert "line 6: more than 5000 objects and lists" in capsys.readouterr().err


@EVERYWHERE
def test_a_call_that_cannot_have_gone_so_is_refused(
    command: str, lines: list[bytes], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Each line is right, but audio is heard before the call has begun: only who tries it again can know."""
    path = tmp_path / "call.jsonl"
    path.write_bytes(b"".join([lines[0], *lines[1:30], b'{"at":500,"event":{"type":"Start"}}\n']))
    status = run(command, path)
    if command == "replay":
        assert status == 2
        assert "line 31: no call can have gone like this: start in state" in capsys.readouterr().err


# Any mutation

PIECES = [b"{", b"}", b"[", b"]", b'"', b",", b":", b"-", b"9" * 30, b"1e308", b"null", b"true", b"\n", b"\xff"]
KINDS = ["Played", "Paused", "Held", "Retrieved", "ToolsFinished", "ReplyFailed", "TransferFailed", "Shutdown", "Start"]
VALUES = st.one_of(
    st.none(), st.booleans(), st.integers(-(2**70), 2**70), st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=5), st.just([]), st.just({}), st.sampled_from(KINDS),
)  # fmt: skip


def places(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """All keys and indices within an object."""
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [place for key, item in items for place in [(*path, key), *places(item, (*path, key))]]


@st.composite
def mutations(draw: st.DrawFn, lines: list[bytes]) -> bytes:
    """A few lines of a tape lost, doubled, exchanged, cut, or with another value in them."""
    tape = lines[: draw(st.integers(2, len(lines)))]
    for _ in range(draw(st.integers(1, 4))):
        at = draw(st.integers(0, len(tape) - 1))
        match draw(st.sampled_from(["drop", "double", "swap", "cut", "insert", "value", "value", "value"])):
            case "drop" if len(tape) > 1:
                del tape[at]
            case "double":
                tape.insert(at, tape[at])
            case "swap":
                other = draw(st.integers(0, len(tape) - 1))
                tape[at], tape[other] = tape[other], tape[at]
            case "cut":
                tape[at] = tape[at][: draw(st.integers(0, len(tape[at])))]
            case "insert":
                place = draw(st.integers(0, len(tape[at])))
                tape[at] = tape[at][:place] + draw(st.sampled_from(PIECES)) + tape[at][place:]
            case "value":
                tape[at] = draw(with_another_value(tape[at]))
    return b"".join(tape)


@st.composite
def with_another_value(draw: st.DrawFn, line: bytes) -> bytes:
    """One value somewhere in the line is another one, or gone."""
    try:
        item = json.loads(line)
    except ValueError:
        return line
    if not (found := places(item)):
        return line
    *path, last = draw(st.sampled_from(found))
    within = item
    for key in path:
        within = within[key]
    if draw(st.booleans()) and isinstance(within, dict):
        del within[last]
    else:
        within[last] = draw(VALUES)
    return json.dumps(item).encode() + b"\n"


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
@given(data=st.data())
def test_whatever_becomes_of_a_tape_ends_in_a_result_or_a_refusal(
    data: st.DataObject, short: list[bytes], tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("mutated") / "call.jsonl"
    path.write_bytes(data.draw(mutations(short)))
    for command in COMMANDS:
        assert run(command, path) in (0, 1, 2)


@pytest.fixture(scope="module")
def short() -> list[bytes]:
    """A tape of few lines, most of which say something: speech, an answer, keys, talking over it."""
    call = Call()
    call.greet()
    call.say(300)
    call.time(600)
    call.answer("At nine in the morning.", heard="when")
    call.say(400)
    call.time(800)
    call.answer("Nine.", heard="when exactly")
    call.play_out()
    return [msgspec.json.encode(call.header()) + b"\n", *call.tape()]
