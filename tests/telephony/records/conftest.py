"""Databases of both kinds, empty."""

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from telephony.records.database import Database
from telephony.records.store import Store
from tests.debian import require
from tests.telephony.records.postgres import Postgres


@pytest.fixture(scope="session")
def postgres() -> Iterator[Postgres]:
    """A PostgreSQL server."""
    require("postgresql")
    server = Postgres()
    yield server
    server.close()


@pytest.fixture
def fresh(postgres: Postgres) -> str:
    """The address of its database, which is empty."""
    return postgres.clear()


@pytest.fixture(params=["sqlite", "postgresql"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """An empty database, with its tables."""
    url = request.getfixturevalue("fresh") if request.param == "postgresql" else ""
    database = Database(url, tmp_path / "records")
    await database.migrate()
    yield database
    await database.close()


@pytest.fixture
def store(database: Database) -> Store:
    """The store of this database."""
    return Store(database)
