"""Calls on record for the command line, which may run beside the server or without it."""

import secrets
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from config.settings import Settings
from telephony.records import journal
from telephony.records.call_records import FOLDER, host_name
from telephony.records.database import Database, StoreError
from telephony.records.eraser import Eraser
from telephony.records.intake import Intake
from telephony.records.store import Store


@asynccontextmanager
async def opened(settings: Settings) -> AsyncGenerator[Store, None]:
    """The store, to read from. Raises StoreError or SettingsError; without a database, StoreError says where it would
    be."""
    database = Database(settings.records.url.get_secret_value(), settings.server.data / FOLDER)
    if database.path and not database.path.exists():
        raise StoreError(f"no calls are on record: there is no {database.path}")
    try:
        await database.migrate()
        yield Store(database)
    finally:
        await database.close()


def is_served(settings: Settings) -> bool:
    """Whether a server writes calls now, from this data folder. What is deleted must then be deleted by it."""
    return bool(journal.living(settings.server.data / FOLDER))


async def delete(settings: Settings, name: int | str) -> int:
    """Delete the calls with this id, or this id in the log, and all that is theirs, while no server runs; what it has
    left in its journal is stored first. Returns how many. Raises EraseError, StoreError or SettingsError."""
    folder, host, run = settings.server.data / FOLDER, host_name(settings.server.data), secrets.token_hex(8)
    async with opened(settings):
        pass  # says so if there is none
    database = Database(settings.records.url.get_secret_value(), folder)
    try:
        own = journal.Journal(folder, run)
        own.take_over()
    except OSError as error:
        raise StoreError(f"cannot write to {folder}: {error.strerror}") from None
    try:
        intake = Intake(database, own, host, run, hooked=settings.hooks.tells_after)
        await intake.catch_up()
        rows = await intake.store.get(name)
        eraser = Eraser(settings.server.data, host)
        eraser.check(rows)
        if rows:
            await eraser.erase(intake.store, rows)
        await intake.store.forget()
        return len(rows)
    finally:
        own.close()
        await database.close()
