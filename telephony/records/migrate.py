"""Brings a database to the tables of this version."""

from pathlib import Path

import sqlalchemy as sa
from alembic import command
from alembic.config import Config

FOLDER = Path(__file__).parent / "migrations"
LOCK = 0x766F786C  # of PostgreSQL's: servers that start at once take turns


def migrate(connection: sa.Connection) -> None:
    """Run the steps that the database lacks, in the connection's transaction. Raises what SQLAlchemy and Alembic do."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(LOCK)))
    config = Config()
    config.set_main_option("script_location", str(FOLDER).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
