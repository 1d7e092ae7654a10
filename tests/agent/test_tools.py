"""Tools: what an agent does leaves a line in a file; what cannot be done is said, told of, and kept for a person."""

import asyncio
import json
import logging
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agent.engine.base import ToolCall
from agent.records import Records
from agent.tools import Tools
from config.agent import FAILED_REQUESTS, AgentSettings, ToolSettings
from config.logging import Log
from config.parties import Parties

BOOK = {"book": ToolSettings(file="bookings.jsonl", parameters={"day": "the day", "time": "the time"})}
BOOKING = ToolCall("book", {"day": "monday", "time": "nine"})
SHORT_S = 0.05


class Office:
    """The tools of one call, with what the log and the metrics are told."""

    def __init__(self, folder: Path, caplog: pytest.LogCaptureFixture, **options: Any) -> None:
        self.folder = folder
        self.counted: list[tuple[str, str]] = []
        self._caplog = caplog
        self._caplog.set_level(logging.INFO)
        options = {"log": Log(logging.getLogger("test"), {"call": "CA1"}), **options}
        self.tools = Tools(BOOK, Records(folder), count=lambda *of: self.counted.append(of), **options)

    @property
    def logged(self) -> list[dict[str, Any]]:
        return [vars(record) for record in self._caplog.records if record.name == "test"]

    def kept(self) -> list[dict[str, Any]]:
        path = self.folder / FAILED_REQUESTS
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []


@pytest.fixture
def office(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> Callable[..., Office]:
    return lambda **options: Office(tmp_path, caplog, **options)


async def test_a_secret_goes_to_the_file_and_nowhere_else(office: Callable[..., Office]) -> None:
    one = office(words=True)
    result = await one.tools.run("CA1", ToolCall("book", {"day": "monday", "time": "***"}, secrets={"time": "4711"}))
    assert result.arguments == {"day": "monday", "time": "***"}
    (line,) = (one.folder / "bookings.jsonl").read_text().splitlines()
    assert json.loads(line)["arguments"] == {"day": "monday", "time": "4711"}
    (one.folder / "bookings.jsonl").unlink()
    (one.folder / "bookings.jsonl").mkdir()
    await one.tools.run("CA1", ToolCall("book", {"day": "monday", "time": "***"}, secrets={"time": "4711"}))
    assert "4711" not in str(one.logged)


async def test_a_call_appends_one_line(tmp_path: Path) -> None:
    tools = Tools(BOOK, Records(tmp_path / "new folder"))
    for time in ("nine", "ten"):
        result = await tools.run("CA1", ToolCall("book", {"day": "monday", "time": time}))
        assert result.error == ""
        assert result.arguments == {"day": "monday", "time": time}
    lines = [json.loads(line) for line in (tmp_path / "new folder" / "bookings.jsonl").read_text().splitlines()]
    assert [(line["call"], line["tool"], line["arguments"]["time"]) for line in lines] == [
        ("CA1", "book", "nine"),
        ("CA1", "book", "ten"),
    ]


async def test_what_cannot_be_done_is_an_error_in_the_result(tmp_path: Path) -> None:
    tools = Tools(BOOK, Records(tmp_path))
    assert "no tool 'cancel'" in (await tools.run("CA1", ToolCall("cancel", {}))).error
    assert "no tool 'press_keys'" in (await tools.run("CA1", ToolCall("press_keys", {"keys": "x"}))).error
    assert "time" in (await tools.run("CA1", ToolCall("book", {"day": "monday"}))).error
    wrong = {"day": "monday", "time": "nine", "dentist": "any"}
    assert "dentist" in (await tools.run("CA1", ToolCall("book", wrong))).error
    (tmp_path / "bookings.jsonl").mkdir()
    failed = await tools.run("CA1", BOOKING)
    assert "cannot write bookings.jsonl" in failed.error
    assert str(tmp_path) not in failed.error


async def test_keys_that_are_none_come_back_with_what_keys_are(tmp_path: Path) -> None:
    failed = await Tools({}, Records(tmp_path), presses=True).run("CA1", ToolCall("press_keys", {"keys": "two"}))
    assert failed.error == (
        "nothing was pressed: at most 32; 0-9 * # A-D are keys, w waits half a second and W a whole one"
    )


async def test_every_result_is_logged_and_counted(office: Callable[..., Office]) -> None:
    at = office()
    await at.tools.run("CA1", BOOKING)
    await at.tools.run("CA1", ToolCall("book", {}))
    await at.tools.run("CA1", ToolCall("whatever a model makes up", {}))
    assert at.counted == [("book", "done"), ("book", "refused"), ("unknown", "refused")]
    assert [(line["levelname"], line["msg"], line["call"], line["tool"]) for line in at.logged] == [
        ("INFO", "tool", "CA1", "book"),
        ("INFO", "tool", "CA1", "book"),
        ("INFO", "tool", "CA1", "whatever a model makes up"),
    ]


def hangs(path: Path) -> None:
    os.mkfifo(path)


def is_a_folder(path: Path) -> None:
    path.mkdir()


def is_full(path: Path) -> None:
    path.symlink_to("/dev/full")


@pytest.mark.parametrize(
    ("breaks", "why"),
    [(hangs, "has not answered for 0.05 s"), (is_a_folder, "Is a directory"), (is_full, "No space left on device")],
)
async def test_a_request_that_has_failed_is_told_warned_of_counted_and_kept(
    office: Callable[..., Office], breaks: Callable[[Path], None], why: str
) -> None:
    at = office(timeout_s=SHORT_S)
    breaks(at.folder / "bookings.jsonl")
    result = await at.tools.run("CA1", BOOKING)
    assert result.arguments == BOOKING.arguments
    assert why in result.error
    assert result.error.endswith("; the request is kept for a person to see to")
    assert at.counted == [("book", "failed")]
    (line,) = at.logged
    assert (line["levelname"], line["call"], line["tool"], line["kept"]) == ("WARNING", "CA1", "book", FAILED_REQUESTS)
    assert why in line["error"]
    assert "arguments" not in line
    (kept,) = at.kept()
    assert (kept["call"], kept["tool"], kept["arguments"]) == ("CA1", "book", BOOKING.arguments)
    assert why in kept["error"]
    if breaks is hangs:
        os.close(os.open(at.folder / "bookings.jsonl", os.O_RDONLY | os.O_NONBLOCK))


@pytest.mark.parametrize("words", [True, False])
async def test_what_cannot_be_kept_either_is_in_the_log_if_it_may(office: Callable[..., Office], words: bool) -> None:
    at = office(words=words)
    is_full(at.folder / "bookings.jsonl")
    is_full(at.folder / FAILED_REQUESTS)
    result = await at.tools.run("CA1", BOOKING)
    assert result.error == "cannot write bookings.jsonl: No space left on device"
    (line,) = at.logged
    assert (line["levelname"], line["kept"]) == ("WARNING", "no: No space left on device")
    assert line.get("arguments") == (BOOKING.arguments if words else None)


async def test_arguments_that_no_file_can_hold_are_a_failure_too(office: Callable[..., Office]) -> None:
    """A model's arguments are JSON; whatever else comes one day, the caller does not wait for ever."""
    at = office()
    result = await at.tools.run("CA1", ToolCall("book", {"day": object(), "time": "nine"}))
    assert "not JSON serializable" in result.error
    assert at.counted == [("book", "failed")]


async def test_no_tool_takes_longer_than_it_says(office: Callable[..., Office]) -> None:
    at = office(timeout_s=SHORT_S)
    for name in ("bookings.jsonl", FAILED_REQUESTS):
        os.mkfifo(at.folder / name)
    begin = asyncio.get_running_loop().time()
    results = await asyncio.gather(*(at.tools.run("CA1", BOOKING) for _ in range(5)))
    assert all(result.error for result in results)
    assert asyncio.get_running_loop().time() - begin < at.tools.longest_s + 5
    for name in ("bookings.jsonl", FAILED_REQUESTS):
        os.close(os.open(at.folder / name, os.O_RDONLY | os.O_NONBLOCK))


def test_no_tool_may_write_where_failed_requests_are_kept() -> None:
    with pytest.raises(ValueError, match="for requests that have failed"):
        AgentSettings(name="desk", tools={"book": ToolSettings(file=FAILED_REQUESTS)})


async def test_a_booking_says_who_called(tmp_path: Path) -> None:
    ann = Parties("+15550100123", "+15550100199", verified=True)
    await Tools(BOOK, Records(tmp_path), parties=ann).run("CA1", BOOKING)
    [line] = (tmp_path / "bookings.jsonl").read_text().splitlines()
    assert json.loads(line)["parties"] == {"caller": "+15550100123", "called": "+15550100199", "verified": True}


async def test_a_record_says_where_a_person_can_listen_to_it(tmp_path: Path) -> None:
    tools = Tools(BOOK, Records(tmp_path))
    await tools.run("CA1", ToolCall("book", {"day": "monday", "time": "nine"}, {"day": 4200}))
    [record] = [json.loads(line) for line in (tmp_path / "bookings.jsonl").read_text().splitlines()]
    assert record["heard_ms"] == {"day": 4200}
