"""From the journal into the database: what is marked, and what is refused for good."""

import logging
from pathlib import Path

import msgspec
import pytest

from telephony.records.call_record import CallRecord
from telephony.records.database import Database, StoreError
from telephony.records.intake import Intake
from telephony.records.journal import Journal
from telephony.records.store import Store
from tests.telephony.records.calls import call


async def test_calls_of_a_run_that_is_gone_are_broken_off_wherever_they_wait(
    database: Database, tmp_path: Path
) -> None:
    store = Store(database)
    await store.write([call(1, run="old"), call(2, run="old")])
    journal = Journal(tmp_path / "journals", "new")
    journal.append([call(2, seq=2, run="old", status="ended"), call(3, run="old"), call(4, run="new")])
    intake = Intake(database, journal, "here", "new")
    await intake.catch_up()
    states = {name: (await store.get(name))[0]["status"] for name in ("CA1", "CA2", "CA3", "CA4")}
    assert states == {"CA1": "broken_off", "CA2": "ended", "CA3": "broken_off", "CA4": "active"}
    assert journal.waiting == 0
    await intake.catch_up()  # marks nothing again
    assert (await store.get("CA4"))[0]["status"] == "active"
    journal.close()


async def test_a_refused_state_is_counted_and_named_without_its_words(
    database: Database, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    written: list[int] = []
    lost: list[int] = []
    journal = Journal(tmp_path / "journals", "run")
    broken: CallRecord = msgspec.structs.replace(
        call(2, caller_name="Rumpelstiltskin"), turns=2**63 - 1, gaps=2**63 - 1
    )
    journal.append([call(1), broken, call(3)])
    intake = Intake(database, journal, "here", "run", written=written.append, lost=lost.append)
    await intake.catch_up()
    fits = bool(database.path)  # an INTEGER of SQLite has 64 bits, one of PostgreSQL 32
    assert len(await intake.store.get("CA2")) == fits
    assert lost == ([] if fits else [1])
    assert len(await intake.store.get("CA1")) == len(await intake.store.get("CA3")) == 1
    assert written == [3]
    assert "Rumpelstiltskin" not in caplog.text
    journal.close()


async def test_what_is_not_stored_waits_on(tmp_path: Path) -> None:
    (tmp_path / "calls.sqlite").mkdir()  # no file
    database, journal = Database("", tmp_path), Journal(tmp_path / "journals", "run")
    journal.append([call(1)])
    intake = Intake(database, journal, "here", "run")
    with pytest.raises(StoreError):
        await intake.catch_up()
    assert journal.waiting
    (tmp_path / "calls.sqlite").rmdir()
    await intake.catch_up()
    assert len(await intake.store.get("CA1")) == 1
    await database.close()
    journal.close()
