"""Database address -> the newest schema there; safe when several processes come at once."""

from __future__ import annotations

from pathlib import Path

from alembic import command
from alembic.config import Config
from alembic.util import CommandError
from sqlalchemy import Connection, text
from sqlalchemy.exc import DBAPIError

import migrations
from app.errors import Unavailable
from app.storage.postgres import sync_engine, sync_transaction

LOCK_NUMBER = 0x7475_7765_6E  # "tuwen"; any number does that others of this database do not use


def migrate(database_url: str, *, revision: str = "head") -> None:
    """Bring the schema up to the revision. Raises Unavailable when the server cannot be used."""
    engine = sync_engine(database_url)
    try:
        with sync_transaction(engine) as holder:
            holder.execute(text("SELECT pg_advisory_xact_lock(:number)"), {"number": LOCK_NUMBER})
            with sync_transaction(engine) as connection:
                command.upgrade(alembic_config(connection), revision)
    except CommandError as problem:
        raise Unavailable(f"the database has the schema of another version of Tuwen: {problem}") from None
    except DBAPIError as problem:
        raise Unavailable(f"the schema cannot be brought up to date: {str(problem.orig).splitlines()[0]}") from None
    finally:
        engine.dispose()


def alembic_config(connection: Connection) -> Config:
    """Alembic's configuration for work on this connection, wherever the package lies."""
    config = Config()
    config.set_main_option("script_location", str(Path(migrations.__path__[0])).replace("%", "%%"))
    config.attributes["connection"] = connection
    return config
