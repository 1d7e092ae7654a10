"""`voxline calls`: on a folder that a server has left, and beside a running one."""

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from telephony.cli.main import main
from telephony.records.call_id import show
from telephony.records.call_record import ToolRun
from telephony.records.database import Database
from telephony.records.store import Store
from telephony.records.text import clean
from tests.simulated import quick
from tests.telephony.records.calls import NASTY, call, said


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A data folder with five calls; the fifth is a stranger's."""
    nasty = clean(NASTY)
    hostile = {"caller": nasty, "caller_name": nasty, "reason": nasty, "call": nasty, "transcript": said(nasty)}
    records = [
        call(number, status="ended", outcome="hangup", transcript=said(f"word{number}")) for number in range(1, 5)
    ]
    tools = (ToolRun(nasty, 5, False, {"name": nasty}, error=nasty),)
    records.append(call(5, status="ended", tools=tools, **hostile))

    async def write() -> None:
        database = Database("", tmp_path / "records")
        await database.migrate()
        await Store(database).write(records)
        await database.close()

    asyncio.run(write())
    return tmp_path


def calls(data: Path, *arguments: str) -> int:
    return main(["calls", *arguments, "--set", f"server.data={data}"])


def test_lists_are_the_latest_first_and_tell_the_next_page(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert calls(data, "list", "--limit", "2") == 0
    first, second, more = capsys.readouterr().out.splitlines()
    assert (first.split()[0], second.split()[0]) == (show(call(5).id), show(call(4).id))
    assert more == f"more: --before {show(call(4).id)}"
    assert calls(data, "list", *more.split()[1:]) == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [show(call(n).id) for n in (3, 2, 1)]


def test_search_and_filters(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert calls(data, "search", "WORD3") == 0
    assert capsys.readouterr().out.startswith(show(call(3).id))
    assert calls(data, "list", "--outcome", "hangup", "--until", "2026-05-01T02:00:00.002Z") == 0
    assert [line.split()[0] for line in capsys.readouterr().out.splitlines()] == [show(call(1).id)]
    assert calls(data, "search", "word1", "word2") == 0
    assert capsys.readouterr().out == ""


def test_a_call_is_shown_with_all_that_is_known(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("CA2", show(call(2).id)):
        assert calls(data, "show", name) == 0
        out = capsys.readouterr().out
        assert "caller: word2" in out
        assert "2026-05-01T02:00:00.002Z" in out
    assert calls(data, "show", "CA9\x1b[2J") == 1
    assert capsys.readouterr().err == "voxline: there is no call CA9\\x1b[2J\n"


@pytest.mark.parametrize(
    "action", [["list"], ["search", "drop"], ["show", show(call(5).id)], ["export"], ["export", "--format", "csv"]]
)
def test_a_terminal_obeys_no_stranger(data: Path, capsys: pytest.CaptureFixture[str], action: list[str]) -> None:
    assert calls(data, *action) == 0
    out = capsys.readouterr().out
    assert "DROP TABLE" in out
    assert out.replace("\r\n", "").replace("\n", "").isprintable()
    assert out.encode()


def test_exports_go_to_a_file_of_the_users_own(data: Path, tmp_path: Path) -> None:
    out = tmp_path / "calls.json"
    assert calls(data, "export", "--q", "word1", "-o", str(out)) == 0
    assert [found["call"] for found in json.loads(out.read_text())] == ["CA1"]
    assert out.stat().st_mode & 0o777 == 0o600


def test_deleting_without_a_server(data: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert calls(data, "delete", "CA1", show(call(2).id)) == 0
    assert capsys.readouterr().out == f"CA1: deleted\n{show(call(2).id)}: deleted\n"
    assert calls(data, "delete", "CA1") == 1
    assert capsys.readouterr().out == "CA1: there is no such call\n"
    for path in (data / "records").iterdir():
        assert b"word1" not in path.read_bytes()
        assert b"word3" in path.read_bytes() or path.suffix != ".sqlite"


def test_a_running_server_deletes_by_itself(serve: Any, capsys: pytest.CaptureFixture[str]) -> None:
    server = serve(quick())
    assert calls(server.data, "delete", "CA1", "--url", server.url) == 1
    assert capsys.readouterr().out == "CA1: there is no such call\n"
    assert calls(server.data, "delete", "CA1", "--url", "http://127.0.0.1:1") == 1
    assert "no answer from http://127.0.0.1:1" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("action", "why"),
    [
        (["list", "--limit", "0"], "limit: a whole number from 1 to 200"),
        (["list", "--since", "yesterday"], "since: a date or time is wanted"),
        (["search", "?"], "q: 1 to 16 words"),
        (["list", "--agent", "a\x1b[2J\x00"], "agent: at most 200 characters of text"),
    ],
)
def test_what_is_asked_wrongly_is_said(
    data: Path, capsys: pytest.CaptureFixture[str], action: list[str], why: str
) -> None:
    assert calls(data, *action) == 2
    err = capsys.readouterr().err
    assert why in err
    assert err.replace("\n", "").isprintable()


def test_without_calls_on_record_that_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert calls(tmp_path, "list") == 2
    assert capsys.readouterr().err == f"voxline: no calls are on record: there is no {tmp_path}/records/calls.sqlite\n"
