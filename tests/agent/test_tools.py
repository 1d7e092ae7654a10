"""Tools: what an agent does leaves a line in a file; what it cannot do is said."""

import json
from pathlib import Path

from agent.engine.base import ToolCall
from agent.tools import Tools
from config.agent import ToolSettings

BOOK = {"book": ToolSettings(file="bookings.jsonl", parameters={"day": "the day", "time": "the time"})}


async def test_a_call_appends_one_line(tmp_path: Path) -> None:
    tools = Tools(BOOK, tmp_path / "new folder")
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
    tools = Tools(BOOK, tmp_path)
    assert "no tool 'cancel'" in (await tools.run("CA1", ToolCall("cancel", {}))).error
    assert "no tool 'press_keys'" in (await tools.run("CA1", ToolCall("press_keys", {"keys": "x"}))).error
    assert "time" in (await tools.run("CA1", ToolCall("book", {"day": "monday"}))).error
    wrong = {"day": "monday", "time": "nine", "dentist": "any"}
    assert "dentist" in (await tools.run("CA1", ToolCall("book", wrong))).error
    (tmp_path / "bookings.jsonl").mkdir()
    failed = await tools.run("CA1", ToolCall("book", {"day": "monday", "time": "nine"}))
    assert "cannot write bookings.jsonl" in failed.error


async def test_keys_that_are_none_come_back_with_what_keys_are(tmp_path: Path) -> None:
    failed = await Tools({}, tmp_path, presses=True).run("CA1", ToolCall("press_keys", {"keys": "two"}))
    assert failed.error == (
        "nothing was pressed: at most 32; 0-9 * # A-D are keys, w waits half a second and W a whole one"
    )
