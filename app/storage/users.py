"""Users and their traits <-> their tables, and the erasure of a person from every table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.domain import User
from app.storage.events import LOG_LOCK, SHARE_LOG
from app.storage.postgres import transaction

_UPSERT = text("""
    INSERT INTO users AS u (user_id, attributes)
    SELECT user_id, coalesce(attributes, '{}')
    FROM json_to_recordset(CAST(:rows AS json)) AS i (user_id text, attributes jsonb)
    ORDER BY user_id COLLATE "C"
    ON CONFLICT (user_id) DO UPDATE SET attributes = excluded.attributes, changed_at = clock_timestamp()
    WHERE u.attributes <> excluded.attributes AND u.user_id = ANY(:told)
    RETURNING user_id""")
_DROP_TRAITS = text("DELETE FROM user_traits WHERE user_id = ANY(:ids)")
_ADD_TRAITS = text("""
    INSERT INTO user_traits (user_id, name, value)
    SELECT user_id, name, value
    FROM json_to_recordset(CAST(:rows AS json)) AS i (user_id text, name text, value text)
    ON CONFLICT DO NOTHING""")
_BY_ID = text("SELECT user_id, attributes FROM users WHERE user_id = :user_id")
_COUNT = text("SELECT count(*) FROM users")

_OWN_THE_LOG = text("SELECT pg_advisory_xact_lock(:lock)").bindparams(lock=LOG_LOCK)
_ERASE = {
    "user_traits": text("DELETE FROM user_traits WHERE user_id = :user_id"),
    "users": text("DELETE FROM users WHERE user_id = :user_id"),
    "exposures": text("DELETE FROM exposures WHERE user_id = :user_id"),
    "behaviours": text("DELETE FROM behaviours WHERE user_id = :user_id"),
    "rejections": text("DELETE FROM rejections WHERE user_id = :user_id"),
    "peers": text("DELETE FROM peers WHERE user_id = :user_id OR peer_id = :user_id"),
}


@dataclass(frozen=True, slots=True)
class UserRow:
    """A user as he is to be written: attributes as sent, and as words comparable between users."""

    user_id: str
    attributes: Mapping[str, Any] | None  # None leaves what is there
    traits: Sequence[tuple[str, str]]  # name, value


async def upsert_users(database: AsyncEngine, rows: Sequence[UserRow]) -> frozenset[str]:
    """Write a batch in one transaction and return the ids of those who are new or changed. Ids are distinct."""
    if not rows:
        return frozenset()
    users = [{"user_id": row.user_id, "attributes": row.attributes} for row in rows]
    told = [row.user_id for row in rows if row.attributes is not None]
    async with transaction(database) as connection:
        await connection.execute(SHARE_LOG)
        changed = frozenset(await connection.scalars(_UPSERT, {"rows": orjson.dumps(users).decode(), "told": told}))
        traits = [
            {"user_id": row.user_id, "name": name, "value": value}
            for row in rows
            if row.user_id in changed
            for name, value in row.traits
        ]
        if changed:
            await connection.execute(_DROP_TRAITS, {"ids": list(changed)})
        if traits:
            await connection.execute(_ADD_TRAITS, {"rows": orjson.dumps(traits).decode()})
    return changed


async def user_by_id(database: AsyncEngine, user_id: str) -> User | None:
    """The user, if there is one."""
    async with transaction(database) as connection:
        row = (await connection.execute(_BY_ID, {"user_id": user_id})).one_or_none()
        return None if row is None else User(row.user_id, row.attributes)


async def count_users(database: AsyncEngine) -> int:
    """How many users there are."""
    async with transaction(database) as connection:
        return int(await connection.scalar(_COUNT) or 0)


async def erase(database: AsyncEngine, user_id: str) -> dict[str, int]:
    """Delete every row of the person in one transaction; rows deleted per table. Repeating it finds nothing more."""
    async with transaction(database) as connection:
        await connection.execute(_OWN_THE_LOG)
        return {
            table: (await connection.execute(statement, {"user_id": user_id})).rowcount
            for table, statement in _ERASE.items()
        }
