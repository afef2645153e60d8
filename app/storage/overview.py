"""What the admin page counts, and whom the demo page lists: read-only, bounded, for people."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.domain import BEHAVIOUR_KINDS, User
from app.storage.postgres import transaction

COUNTED = ("posts", "users", "exposures", "behaviours")
EXACT_ROWS = 500_000  # above it PostgreSQL's own estimate is shown: counting would take seconds


async def row_counts(database: AsyncEngine) -> Mapping[str, int]:
    """Rows of each table, in the order of COUNTED; an estimate for a large table."""
    counts: dict[str, int] = {}
    async with transaction(database) as connection:
        for table in COUNTED:
            estimate = await connection.scalar(
                text("SELECT reltuples::bigint FROM pg_class WHERE oid = to_regclass(:name)"), {"name": table}
            )
            if (estimate or 0) < EXACT_ROWS:
                estimate = await connection.scalar(text(f"SELECT count(*) FROM {table}"))  # noqa: S608 (a name of ours)
            counts[table] = int(estimate or 0)
    return counts


async def behaviour_counts(database: AsyncEngine, *, since: datetime) -> Mapping[str, int]:
    """Behaviours that arrived since a moment, by kind, in the order of BEHAVIOUR_KINDS."""
    async with transaction(database) as connection:
        rows = await connection.execute(
            text("SELECT kind, count(*) FROM behaviours WHERE arrived_at >= :since GROUP BY kind"), {"since": since}
        )
        found = {kind: int(count) for kind, count in rows}
    return {kind: found.get(kind, 0) for kind in BEHAVIOUR_KINDS}


async def users_named(database: AsyncEngine, prefix: str, *, limit: int) -> list[User]:
    """The first users, in the order of their ids, whose ids begin with `prefix` (letters, digits and hyphens)."""
    async with transaction(database) as connection:
        rows = await connection.execute(
            text(
                "SELECT user_id, attributes FROM users"
                " WHERE user_id >= :prefix AND user_id < :prefix || chr(127) ORDER BY user_id LIMIT :limit"
            ),
            {"prefix": prefix, "limit": limit},
        )
        return [User(user_id, attributes) for user_id, attributes in rows]


async def attributes_of(database: AsyncEngine, user_id: str) -> Mapping[str, object]:
    """What is known of a user; empty for one who was never described."""
    async with transaction(database) as connection:
        found = await connection.scalar(
            text("SELECT attributes FROM users WHERE user_id = :user_id"), {"user_id": user_id}
        )
    return dict(found or {})
