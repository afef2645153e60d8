"""Events of the log that are older than wanted -> deleted, in short transactions that hold nobody up."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.storage.postgres import transaction

ROWS_AT_ONCE = 5_000

# By the event's own time, which a block range index narrows down as long as events come about in their order.
_DELETE = [
    text(f"""
        DELETE FROM {table} WHERE ctid = ANY(ARRAY(
            SELECT ctid FROM {table} WHERE {moment} < :before LIMIT :rows FOR UPDATE SKIP LOCKED))
        RETURNING user_id""")  # noqa: S608 - names of this file
    for table, moment in (("behaviours", "at"), ("rejections", "at"), ("exposures", "shown_at"))
]


async def delete_events(
    database: AsyncEngine, *, before: datetime, rows_at_once: int = ROWS_AT_ONCE
) -> AsyncIterator[list[str]]:
    """Delete what happened before a moment, batch by batch; of each batch the users, once per row deleted."""
    for statement in _DELETE:
        while True:
            async with transaction(database) as connection:
                users = list(await connection.scalars(statement, {"before": before, "rows": rows_at_once}))
            if not users:
                break
            yield users
