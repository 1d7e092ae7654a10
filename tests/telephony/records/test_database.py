"""The database's address, its tables and its errors."""

import stat
from importlib import util
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from config.exceptions import SettingsError
from telephony.records.call_record import Act
from telephony.records.database import Database, StoreError
from telephony.records.schema import metadata
from telephony.records.store import Store
from tests.telephony.records.calls import call
from tests.telephony.records.postgres import PASSWORD, Postgres


def differences(connection: sa.Connection) -> list[Any]:
    options = {"version_table": "voxline_schema", "compare_type": True}
    return list(compare_metadata(MigrationContext.configure(connection, opts=options), metadata))


async def test_the_migrations_make_the_tables_of_this_version(database: Database) -> None:
    async with database.reading() as connection:
        assert await connection.run_sync(differences) == []


async def test_migrating_again_changes_nothing(database: Database) -> None:
    await Store(database).write([call()])
    await database.migrate()
    assert len(await Store(database).get("CA1")) == 1


async def test_a_database_of_an_earlier_version_keeps_its_calls(database: Database) -> None:
    await Store(database).write([call()])
    async with database.transaction() as connection:
        for table in ("call_acts", "hook_deliveries"):  # of later versions
            await connection.execute(sa.text(f"DROP TABLE {table}"))
        await connection.execute(sa.text("UPDATE voxline_schema SET version_num = '0001'"))
    await database.migrate()
    async with database.reading() as connection:
        assert await connection.run_sync(differences) == []
    await Store(database).write([call(seq=2, acts=(Act(5, "Ann", "hangup"),))])
    [row] = await Store(database).get("CA1")
    assert row["acts"] == [{"at": 5, "who": "Ann", "act": "hangup", "details": {}}]


async def test_only_the_servers_user_can_read_the_file(tmp_path: Path) -> None:
    database = Database("", tmp_path / "records")
    await database.migrate()
    await Store(database).write([call()])
    assert stat.S_IMODE((tmp_path / "records").stat().st_mode) == 0o700
    files = list((tmp_path / "records").iterdir())
    assert {path.name for path in files} == {"calls.sqlite", "calls.sqlite-wal", "calls.sqlite-shm"}
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}
    await database.close()


async def test_sqlite_overwrites_what_is_deleted_and_lets_readers_read(tmp_path: Path) -> None:
    database = Database("", tmp_path / "records")
    await database.migrate()
    async with database.reading() as connection:
        found = [
            (await connection.exec_driver_sql(f"PRAGMA {name}")).scalar() for name in ("journal_mode", "secure_delete")
        ]
    assert found == ["wal", 1]
    async with database.transaction() as writing:
        await writing.execute(sa.text("DELETE FROM calls"))
        async with database.reading() as connection:
            assert (await connection.execute(sa.text("SELECT count(*) FROM calls"))).scalar() == 0
    await database.close()


@pytest.mark.parametrize(
    ("url", "why"),
    [
        (f"mysql://root:{PASSWORD}@localhost/calls", "only postgresql://"),
        (f"{PASSWORD}", "postgresql://user:password@host/database is wanted"),
        (f"postgresql://voxline:{PASSWORD}@host:port/calls", "postgresql://user:password@host/database is wanted"),
    ],
)
def test_an_address_that_cannot_be_used_is_refused_without_showing_it(tmp_path: Path, url: str, why: str) -> None:
    with pytest.raises(SettingsError) as error:
        Database(url, tmp_path)
    assert why in str(error.value)
    assert PASSWORD not in str(error.value)


def test_postgresql_without_its_driver_is_refused_with_the_command_that_installs_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "telephony.records.database.find_spec", lambda name: None if name == "asyncpg" else util.find_spec(name)
    )
    with pytest.raises(SettingsError, match=r"asyncpg: .*pip install .*postgres"):
        Database(f"postgresql://voxline:{PASSWORD}@localhost/calls", tmp_path)


async def test_the_password_is_in_no_error(postgres: Postgres, tmp_path: Path) -> None:
    for url in (postgres.url(password="wrong-" + PASSWORD), postgres.url("no-such-database")):
        database = Database(url, tmp_path)
        with pytest.raises(StoreError) as error:
            await database.migrate()
        assert PASSWORD not in str(error.value) + repr(database._engine) + repr(error.value.__cause__)
        assert not error.value.refused
        await database.close()


async def test_words_are_in_no_error(database: Database) -> None:
    """A database that refuses a value says nothing of it."""
    broken = call(caller_name="Rumpelstiltskin", turns="many")
    with pytest.raises(StoreError) as error:
        await Store(database).write([broken, call(2, caller_name="Rapunzel\x00" if not database.path else None)])
    assert "Rumpelstiltskin" not in str(error.value)
    assert error.value.refused


async def test_a_file_that_is_no_database_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "calls.sqlite").write_text("not a database " * 100)
    database = Database("", tmp_path)
    with pytest.raises(StoreError, match="not a database"):
        await database.migrate()
    await database.close()


async def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    database = Database("", tmp_path / "file")
    with pytest.raises(StoreError, match="cannot make"):
        await database.migrate()
    await database.close()
