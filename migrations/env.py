"""What Alembic runs: the connection that `app.storage.migrate` hands over, or one of its own on the command line."""

from __future__ import annotations

from alembic import context
from sqlalchemy import Connection

from app.settings import load_settings
from app.storage.embedded import store_addresses
from app.storage.postgres import sync_engine, sync_transaction


def run(connection: Connection) -> None:
    """Run the asked migrations on the connection, all in one transaction."""
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()


given = context.config.attributes.get("connection")
if given is not None:
    run(given)
else:
    with store_addresses(load_settings()) as addresses, sync_transaction(sync_engine(addresses.database_url)) as own:
        run(own)
