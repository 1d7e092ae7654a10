"""`voxline hooks`: what was told, and what failed, as text."""

import asyncio
from pathlib import Path

import pytest

from telephony.cli.main import main
from telephony.records.call_records import FOLDER
from telephony.records.database import Database
from telephony.records.deliveries import delivery_id
from telephony.records.store import Store
from tests.telephony.records.calls import NASTY, call


@pytest.fixture
def place(tmp_path: Path) -> list[str]:
    """The options that lead to four deliveries, of which the last is of a call that is on, and the first has failed."""

    async def fill() -> None:
        database = Database("", tmp_path / FOLDER)
        await database.migrate()
        store = Store(database, hooked=True)
        await store.write([call(number, status="ended") for number in range(1, 4)] + [call(4)])
        [first] = await store.outbox.claim("here", 2 * 10**12, 1)
        error = NASTY.replace("\x00", "").replace("\ud800\udfff", "")
        await store.outbox.settle(first, "failed", due=0, answer=None, error=error, costs={})
        await database.close()

    asyncio.run(fill())
    return ["--set", f"server.data={tmp_path}"]


def name(number: int) -> str:
    return delivery_id(call(number).id)


def test_deliveries_are_listed_page_by_page(place: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hooks", "list", "--limit", "2", *place]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines[:2]] == [name(3), name(2)]
    assert lines[2] == f"more: --before {name(2)}"
    assert main(["hooks", "list", "--before", name(2), *place]) == 0
    out = capsys.readouterr().out
    assert out.startswith(name(1))
    assert "failed  attempts 1  " in out
    assert out.replace("\n", "").isprintable()
    assert main(["hooks", "list", "--status", "open", *place]) == 0
    assert capsys.readouterr().out.startswith(name(4))


def test_deliveries_are_sent_again(place: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hooks", "resend", name(1), name(2), *place]) == 0
    assert main(["hooks", "list", "--status", "pending", *place]) == 0
    assert name(1) in capsys.readouterr().out
    assert main(["hooks", "resend", name(4), "x\x1b[2J", *place]) == 1
    assert "\x1b" not in capsys.readouterr().err


@pytest.mark.parametrize("wrong", [["--limit", "0"], ["--limit", "201"], ["--before", "x"]])
def test_what_is_asked_wrongly_is_named(place: list[str], wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hooks", "list", *wrong, *place]) == 2
    assert wrong[0] in capsys.readouterr().err


def test_without_a_database_it_says_so(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["hooks", "list", "--set", f"server.data={tmp_path}"]) == 2
    assert "no calls are on record" in capsys.readouterr().err
