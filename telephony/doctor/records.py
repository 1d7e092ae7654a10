"""The calls on record: whether their database can be reached. Nothing is made or changed in it."""

import asyncio
from collections.abc import Iterator
from pathlib import Path

from config.exceptions import SettingsError
from config.settings import Settings
from telephony.doctor.finding import Finding, Level
from telephony.records.database import FILE, Database, StoreError

SQLITE = b"SQLite format 3\x00"  # how its files begin (https://www.sqlite.org/fileformat.html)


def check(settings: Settings) -> Iterator[Finding]:
    """Check it."""
    url = settings.records.url.get_secret_value()
    if settings.records.mode == "off":
        yield _found("ok", "off: records.mode is off")
        if url:
            yield _found("warning", "records.url is set, but records.mode is off: no calls go there")
    elif url:
        yield _postgres(url, settings.server.data)
    else:
        yield _sqlite(settings.server.data / FILE)


def _postgres(url: str, folder: Path) -> Finding:
    try:
        asyncio.run(_ask(Database(url, folder)))
    except SettingsError as error:
        return _found("problem", str(error))
    except StoreError as error:
        text = f"records.url: the database does not answer, and calls wait on disk until it does: {error}"
        return _found("warning", text, "start it, or correct the address, the user or the password in records.url")
    return _found("ok", "records.url: the database answers")


async def _ask(database: Database) -> None:
    try:
        async with database.reading() as connection:
            await connection.exec_driver_sql("SELECT 1")
    finally:
        await database.close()


def _sqlite(path: Path) -> Finding:
    """Its file is not opened as a database, which would leave files beside it."""
    try:
        with path.open("r+b") as file:
            beginning = file.read(len(SQLITE))
    except FileNotFoundError:
        return _found("ok", f"SQLite: {path}, created by the first start")
    except OSError as error:
        advice = "give it to the user that voxline runs as; until then calls wait on disk"
        return _found("warning", f"{path} cannot be written: {error.strerror}", advice)
    if beginning not in (b"", SQLITE):
        return _found("warning", f"{path} is no SQLite database", "move it away; voxline makes a new one")
    return _found("ok", f"SQLite: {path}")


def _found(level: Level, text: str, advice: str = "") -> Finding:
    return Finding(level, "records", text, advice)
