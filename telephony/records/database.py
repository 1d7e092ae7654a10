"""The connection to the database of calls: its address, its engine, its errors."""

import asyncio
import os
import sqlite3
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import msgspec
import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError, StatementError
from sqlalchemy.ext.asyncio import AsyncConnection, create_async_engine

from config import private
from config.exceptions import SettingsError, VoxlineError
from config.extras import install_command
from config.logging import printable
from telephony.records.migrate import migrate

FILE = "calls.sqlite"
TIMEOUT_S = 10.0  # for connecting, for a lock, and for everything that is asked of the database
CLEAN_S = 300.0  # for writing SQLite's file anew
MAX_REASON = 200  # characters of a database's own words that are shown
BEGIN = "voxline_begin"  # how a connection's transactions begin, of SQLite
# The data is at fault, not the database: PostgreSQL's classes of errors, and what Python raises for SQLite.
REFUSED_STATES = ("22", "23")
REFUSED_ERRORS = (sqlite3.IntegrityError, sqlite3.DataError, OverflowError, UnicodeError)
CHECKPOINT_TRIES = 50
CHECKPOINT_WAIT_S = 0.1


class StoreError(VoxlineError):
    """The database cannot be reached, is too slow, or refuses. With `refused`, it refuses what it was given: to try the
    same again is no use."""

    def __init__(self, reason: str, *, refused: bool = False) -> None:
        self.refused = refused
        super().__init__(reason)


class Database:
    """One database. Without `url` it is the file calls.sqlite in `folder`. Used in one event loop."""

    def __init__(self, url: str, folder: Path) -> None:
        """Raises SettingsError if `url` cannot be used here."""
        self._password = ""
        self.path: Path | None = None
        if url:
            self._engine_url = self._postgres(url)
            options: dict[str, Any] = {
                "connect_args": {"timeout": TIMEOUT_S, "command_timeout": TIMEOUT_S},
                "pool_size": 5,
                "max_overflow": 0,
                "pool_pre_ping": True,
            }
        else:
            self.path = folder / FILE
            self._engine_url = sa.URL.create("sqlite+aiosqlite", database=str(self.path))
            options = {"connect_args": {"timeout": TIMEOUT_S}}
        self._engine = create_async_engine(
            self._engine_url,
            hide_parameters=True,  # they are callers' words, and errors are logged
            json_serializer=lambda value: msgspec.json.encode(value).decode(),
            json_deserializer=msgspec.json.decode,
            **options,
        )
        if self.path:
            sa.event.listen(self._engine.sync_engine, "connect", _prepare)
            sa.event.listen(self._engine.sync_engine, "begin", _begin)

    async def migrate(self) -> None:
        """Make or change its tables, as this version has them. Raises StoreError."""
        if self.path:
            try:
                private.make_folder(self.path.parent)
                os.close(private.opener(str(self.path), os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC))
            except OSError as error:
                raise StoreError(f"cannot make {self.path}: {error.strerror}") from None
        async with self.transaction() as connection:
            await connection.run_sync(migrate)

    @asynccontextmanager
    async def transaction(self) -> AsyncGenerator[AsyncConnection, None]:
        """A connection that writes, in a transaction that is committed at the end. Raises StoreError."""
        async with self._connection("BEGIN IMMEDIATE") as connection:
            yield connection
            await connection.commit()

    @asynccontextmanager
    async def reading(self) -> AsyncGenerator[AsyncConnection, None]:
        """A connection that only reads. Raises StoreError."""
        async with self._connection("BEGIN") as connection:
            yield connection

    async def owe(self, connection: AsyncConnection) -> None:
        """Something is deleted in this transaction: once it is committed, the file is to be cleaned, if need be after a
        crash."""
        if self.path:
            await connection.exec_driver_sql("PRAGMA user_version=1")

    async def forget(self) -> None:
        """If something was deleted, leave nothing of it in SQLite's file: secure_delete misses what was copied when
        pages were split. Raises StoreError where a reader keeps it from that; it is then still owed."""
        if not self.path:
            return
        async with self._connection("", CLEAN_S) as connection:
            if not (await connection.exec_driver_sql("PRAGMA user_version")).scalar_one():
                return
            await connection.exec_driver_sql("VACUUM")
            for _ in range(CHECKPOINT_TRIES):
                [busy, *_] = (await connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")).one()
                if not busy:
                    await connection.exec_driver_sql("PRAGMA user_version=0")
                    return
                await asyncio.sleep(CHECKPOINT_WAIT_S)
        raise StoreError("somebody is reading the database, so what was deleted is still in its log; try again")

    async def close(self) -> None:
        """Close every connection."""
        await self._engine.dispose()

    @asynccontextmanager
    async def _connection(self, begin: str, limit_s: float = TIMEOUT_S) -> AsyncGenerator[AsyncConnection, None]:
        try:
            async with asyncio.timeout(limit_s), self._engine.connect() as connection:
                yield await connection.execution_options(**{BEGIN: begin})
        except TimeoutError:
            raise StoreError(f"the database has not answered for {limit_s:g} s") from None
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 (SQLAlchemy passes on what drivers raise of their own)
            raise self._error(error) from None

    def _postgres(self, url: str) -> sa.URL:
        try:
            parsed = sa.make_url(url)
        except (SQLAlchemyError, ValueError):
            raise SettingsError("records.url: postgresql://user:password@host/database is wanted") from None
        if parsed.drivername not in ("postgresql", "postgres", "postgresql+asyncpg"):
            raise SettingsError("records.url: only postgresql:// is known; empty: SQLite in server.data")
        if find_spec("asyncpg") is None:
            raise SettingsError(f"records.url: PostgreSQL needs asyncpg: {install_command('postgres')}")
        self._password = parsed.password or ""
        return parsed.set(drivername="postgresql+asyncpg")

    def _error(self, error: Exception) -> StoreError:
        """In the database's own words, without the password and without anything that it was given."""
        inner = error.orig if isinstance(error, StatementError) and error.orig else error
        text = str(inner).strip().partition("\n")[0].rpartition(">: ")[2]  # after the class that SQLAlchemy names
        if self._password:
            text = text.replace(self._password, "***")
        state = str(getattr(inner, "sqlstate", None) or "")
        refused = state.startswith(REFUSED_STATES) or isinstance(inner, REFUSED_ERRORS)
        return StoreError(printable(text)[:MAX_REASON] or type(inner).__name__, refused=refused)


def _prepare(connection: Any, _: Any) -> None:
    """Each new connection to SQLite: readers do not wait for the writer, and what is deleted is overwritten."""
    connection.isolation_level = None  # transactions begin where _begin says; Python's own leave out CREATE TABLE
    cursor = connection.cursor()
    for pragma in ("journal_mode=WAL", "secure_delete=ON", "synchronous=FULL"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(connection: sa.Connection) -> None:
    if begin := connection.get_execution_options().get(BEGIN, ""):
        connection.exec_driver_sql(begin)
