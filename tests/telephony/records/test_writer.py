"""The writer's thread, with real databases that are slow, stopped or full."""

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from telephony.lines.metrics import Metrics
from telephony.records import writer as module
from telephony.records.call_filter import parse
from telephony.records.call_record import CallRecord
from telephony.records.database import Database, StoreError
from telephony.records.eraser import EraseError, Eraser
from telephony.records.journal import SUFFIX, Journal
from telephony.records.store import Row
from telephony.records.writer import Writer
from tests.telephony.records.calls import DAY_MS, call, said
from tests.telephony.records.postgres import PASSWORD, Postgres
from tests.waiting import until


class Desk:
    """A writer in a folder."""

    def __init__(self, data: Path, url: str = "", run: str = "run", keep_days: int = 0) -> None:
        self.data, self.folder = data, data / "records"
        self.metrics = Metrics()
        self.writer = Writer(
            Database(url, self.folder),
            Journal(self.folder, run),
            Eraser(data, "here"),
            self.metrics,
            host="here",
            run=run,
            keep_days=keep_days,
        )
        self.writer.start()

    async def rows(self, **query: str) -> list[Row]:
        return await self.writer.ask(lambda store: store.find(parse(query)))

    async def count(self, wanted: int) -> list[Row]:
        """The rows, as soon as there are as many."""

        async def there() -> list[Row] | None:
            with contextlib.suppress(StoreError):
                rows = await self.rows(limit="200")
                return rows if len(rows) == wanted else None
            return None

        found: list[Row] = await until(there)
        return found

    def metric(self, name: str) -> float:
        return self.metrics.registry.get_sample_value(f"voxline_records_{name}") or 0


@asynccontextmanager
async def desk(data: Path, **options: Any) -> AsyncIterator[Desk]:
    one = Desk(data, **options)
    try:
        yield one
    finally:
        await asyncio.to_thread(one.writer.stop)


async def test_what_is_put_is_stored(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        for number in range(200):
            one.writer.put(call(number))
            one.writer.put(call(number, seq=2, status="ended"))
        rows = await one.count(200)
        await until(lambda: one.metric("waiting_bytes") == 0)
        assert {row["status"] for row in await one.rows(limit="200")} == {"ended"}
        assert len(rows) == 200
    assert [path.name for path in one.folder.iterdir()] == ["calls.sqlite"]
    assert (one.metric("lost_total"), one.metric("late_total"), one.metric("failures_total")) == (0, 0, 0)


async def test_stopping_writes_what_has_just_been_put(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        for number in range(50):
            one.writer.put(call(number))
    async with desk(tmp_path, run="next") as one:
        assert len(await one.count(50)) == 50


async def test_a_transaction_in_progress_is_finished_when_it_stops(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Broken off, it would keep the lock, and all else would wait on disk for the next start."""
    for number in range(5):
        data = tmp_path / str(number)
        async with desk(data) as one:
            for each in range(300):
                one.writer.put(call(each, transcript=said(*(f"word{each}x{place}" for place in range(100)))))
            await until(lambda one=one: one.metric("waiting_bytes") > 0)
            await asyncio.sleep(0.05 * number)
        assert [path.name for path in one.folder.iterdir()] == ["calls.sqlite"]
    assert "wait on disk" not in caplog.text


async def test_a_database_that_does_not_answer_keeps_nobody_from_stopping(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its thread ends later, and tells of nothing: pytest would."""
    monkeypatch.setattr("telephony.records.database.TIMEOUT_S", 2)
    monkeypatch.setattr(module, "STOP_S", 0.1)
    monkeypatch.setattr(module, "CLOSE_S", 0.1)
    async with desk(tmp_path) as one:
        one.writer.put(call(1))
        await one.count(1)
        threads = set(threading.enumerate())
        other = Database("", tmp_path / "records")
        async with other.transaction() as connection:
            await connection.execute(sa.text("DELETE FROM call_texts WHERE id = 0"))
            one.writer.put(call(2))
            await until(lambda: any(path.stat().st_size for path in one.folder.glob(f"*{SUFFIX}")))
            await asyncio.to_thread(one.writer.stop)
            await until(lambda: not any("worker" in thread.name for thread in threads if thread.is_alive()))
        await other.close()
    async with desk(tmp_path, run="next") as one:
        await one.count(2)


async def test_putting_waits_for_nothing(tmp_path: Path) -> None:
    """Neither for the disk nor for the database: the whole thread stands still."""
    async with desk(tmp_path) as one:
        stands, goes_on = threading.Event(), threading.Event()

        def stand() -> None:
            stands.set()
            goes_on.wait()

        one.writer._loop.call_soon_threadsafe(stand)
        await asyncio.to_thread(stands.wait)
        for number in range(100):
            one.writer.put(call(number, seq=2))
            one.writer.put(call(number, seq=1))  # late
        goes_on.set()
        assert {row["seq"] for row in await one.count(100)} == {2}


async def test_what_waits_in_memory_is_bounded_and_counted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_WAITING", 10)
    async with desk(tmp_path) as one:
        stands, goes_on = threading.Event(), threading.Event()

        def stand() -> None:
            stands.set()
            goes_on.wait()

        one.writer._loop.call_soon_threadsafe(stand)
        await asyncio.to_thread(stands.wait)
        for number in range(15):
            one.writer.put(call(number))
        one.writer.put(call(3, seq=2))  # of a call that waits already
        assert one.metric("lost_total") == 5
        goes_on.set()
        rows = await one.count(10)
        assert [row["seq"] for row in rows if row["call"] == "CA3"] == [2]


async def test_a_killed_servers_calls_are_stored_and_marked(tmp_path: Path) -> None:
    """Their states are in the database, in a journal, or in both."""
    async with desk(tmp_path, run="old") as one:
        one.writer.put(call(1, run="old"))
        one.writer.put(call(2, run="old"))
        await one.count(2)
    left = Journal(tmp_path / "records", "old")
    left.append([call(2, seq=2, run="old", status="ended"), call(3, run="old", caller_name="Ann")])
    text = left.path.read_bytes()
    left.close()
    left.path.write_bytes(text + b'{"id": 4, "half a line')
    async with desk(tmp_path, run="new") as one:
        rows = {row["call"]: row for row in await one.count(3)}
        states = {name: row["status"] for name, row in rows.items()}
        assert states == {"CA1": "broken_off", "CA2": "ended", "CA3": "broken_off"}
        assert rows["CA3"]["caller_name"] == "Ann"


async def test_a_locked_database_delays_nothing_but_the_rows(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("telephony.records.database.TIMEOUT_S", 0.2)
    async with desk(tmp_path) as one:
        one.writer.put(call(1))
        await one.count(1)
        other = Database("", tmp_path / "records")
        async with other.transaction() as connection:
            await connection.execute(sa.text("DELETE FROM call_texts WHERE id = 0"))
            one.writer.put(call(2))
            await until(lambda: one.metric("failures_total") > 0)
            await until(lambda: any(path.stat().st_size for path in one.folder.glob(f"*{SUFFIX}")))
            assert len(await one.rows()) == 1
        await one.count(2)
        await until(lambda: one.metric("waiting_bytes") == 0)
        assert one.metric("late_total") >= 1
        await other.close()


async def test_a_call_that_no_database_takes_costs_no_other(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async with desk(tmp_path) as one:
        broken = CallRecord(
            **{name: getattr(call(2), name) for name in CallRecord.__struct_fields__} | {"turns": 2**70}
        )
        for record in (call(1), broken, call(3)):
            one.writer.put(record)
        await one.count(2)
        await until(lambda: one.metric("lost_total") == 1)
    assert "cannot be stored" in caplog.text


async def test_old_calls_are_deleted_with_what_is_theirs(tmp_path: Path) -> None:
    now_ms = round(1000 * time.time())
    old = call(1, status="ended", tape="20260501-020000-CA1.jsonl.gz", recording="20260501-020000-00000000000000aa")
    tape, recording = tmp_path / "tapes" / old.tape, tmp_path / "recordings" / f"{old.recording}.ogg"
    for path in (tape, recording):
        path.parent.mkdir()
        path.write_text("words")
    async with desk(tmp_path) as one:
        one.writer.put(old)
        young = call(now_ms - DAY_MS - call(0).started, status="ended")
        one.writer.put(young)
        one.writer.put(call(2))  # on
        await one.count(3)
    assert tape.exists()
    async with desk(tmp_path, keep_days=2) as one:
        rows = await one.count(2)  # the one that was on was broken off, and goes the next time
        assert rows[0]["call"] == young.call
        assert not tape.exists()
        assert not recording.exists()


async def test_a_call_that_is_on_is_not_deleted(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        one.writer.put(call(1, transcript=said("secret")))
        with pytest.raises(EraseError, match="is on"):
            await one.writer.delete("CA1")
        one.writer.put(call(1, seq=2, status="ended", transcript=said("secret")))
        assert await one.writer.delete(call(1).id) == 1
        assert await one.writer.delete("CA1") == 0
        for path in one.folder.iterdir():
            assert b"secret" not in path.read_bytes()


async def test_asking_a_writer_that_has_ended_is_an_error(tmp_path: Path) -> None:
    async with desk(tmp_path) as one:
        pass
    with pytest.raises(StoreError, match="the server ends"):
        await one.rows()
    one.writer.put(call(1))  # of a call that ends too late


async def test_a_stopped_postgresql_loses_nothing_and_is_not_waited_for(
    postgres: Postgres, fresh: str, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with desk(tmp_path, url=fresh) as one:
        one.writer.put(call(1))
        await one.count(1)
        await asyncio.to_thread(postgres.stop)
        try:
            for number in range(2, 52):
                one.writer.put(call(number))
                one.writer.put(call(number, seq=2, status="ended"))
            await until(lambda: one.metric("failures_total") > 0 and one.metric("waiting_bytes") > 0)
            with pytest.raises(StoreError):
                await one.writer.delete("CA1")
        finally:
            await asyncio.to_thread(postgres.start)
        rows = await one.count(51)
        await until(lambda: one.metric("waiting_bytes") == 0)
        assert {row["status"] for row in await one.rows(status="ended", limit="200")} == {"ended"}
        assert len(rows) == 51
        assert one.metric("late_total") >= 50
        assert one.metric("lost_total") == 0
    assert PASSWORD not in caplog.text


async def test_a_stalled_postgresql_is_given_up_and_tried_again(
    postgres: Postgres, fresh: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("telephony.records.database.TIMEOUT_S", 0.5)
    async with desk(tmp_path, url=fresh) as one:
        one.writer.put(call(1))
        await one.count(1)
        with postgres.stalled():
            for number in range(2, 22):
                one.writer.put(call(number))
            await until(lambda: one.metric("failures_total") > 0 and one.metric("waiting_bytes") > 0)
            with pytest.raises(StoreError):
                await one.rows()
        await one.count(21)
        await until(lambda: one.metric("waiting_bytes") == 0)
        assert (one.metric("late_total"), one.metric("lost_total")) == (20, 0)


async def test_a_server_starts_without_its_database_and_writes_later(
    postgres: Postgres, fresh: str, tmp_path: Path
) -> None:
    await asyncio.to_thread(postgres.stop)
    try:
        async with desk(tmp_path, url=fresh) as one:
            one.writer.put(call(1))
            await until(lambda: one.metric("failures_total") > 0)
        assert len(list(one.folder.glob(f"*{SUFFIX}"))) == 1
    finally:
        await asyncio.to_thread(postgres.start)
    async with desk(tmp_path, url=fresh, run="next") as one:
        [row] = await one.count(1)
        assert row["status"] == "broken_off"
