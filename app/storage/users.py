"""Users and their traits <-> their tables, and the erasure of a person from every table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.domain import User
from app.storage.audit import Change, add_entry
from app.storage.dead_letters import adopt_letters, erase_letters
from app.storage.erased import ErasedUsers, Receipt
from app.storage.events import LOG_LOCK, SHARE_LOG
from app.storage.postgres import transaction

# What a row does not tell stays as it is, also when another writer of the same user was quicker.
_UPSERT = text("""
    INSERT INTO users AS u (user_id, attributes, personalised)
    SELECT user_id, coalesce(attributes, '{}'), coalesce(personalised, true)
    FROM json_to_recordset(CAST(:rows AS json)) AS i (user_id text, attributes jsonb, personalised boolean)
    ORDER BY user_id COLLATE "C"
    ON CONFLICT (user_id) DO UPDATE SET changed_at = clock_timestamp(),
        attributes = CASE WHEN u.user_id = ANY(:told) THEN excluded.attributes ELSE u.attributes END,
        personalised = CASE WHEN u.user_id = ANY(:chosen) THEN excluded.personalised ELSE u.personalised END
    WHERE (u.user_id = ANY(:told) AND u.attributes <> excluded.attributes)
        OR (u.user_id = ANY(:chosen) AND u.personalised <> excluded.personalised)
    RETURNING user_id""")
_DROP_TRAITS = text("DELETE FROM user_traits WHERE user_id = ANY(:ids)")
_ADD_TRAITS = text("""
    INSERT INTO user_traits (user_id, name, value)
    SELECT user_id, name, value
    FROM json_to_recordset(CAST(:rows AS json)) AS i (user_id text, name text, value text)
    ON CONFLICT DO NOTHING""")
_BY_ID = text("SELECT user_id, attributes FROM users WHERE user_id = :user_id")
_COUNT = text("SELECT count(*) FROM users")

AUTHORED = "authored_posts"  # they stay, without their author

_OWN_THE_LOG = text("SELECT pg_advisory_xact_lock(:lock)").bindparams(lock=LOG_LOCK)
_ERASE = {
    "user_traits": text("DELETE FROM user_traits WHERE user_id = :user_id"),
    "users": text("DELETE FROM users WHERE user_id = :user_id"),
    "exposures": text("DELETE FROM exposures WHERE user_id = :user_id"),
    "behaviours": text("DELETE FROM behaviours WHERE user_id = :user_id"),
    "rejections": text("DELETE FROM rejections WHERE user_id = :user_id"),
    "peers": text("DELETE FROM peers WHERE user_id = :user_id OR peer_id = :user_id"),
    AUTHORED: text("UPDATE posts SET author_id = NULL, changed_at = clock_timestamp() WHERE author_id = :user_id"),
}

_ADOPT = text("""
    INSERT INTO users AS u (user_id, attributes, personalised)
    SELECT :user_id, attributes, personalised FROM users WHERE user_id = :former_id
    ON CONFLICT (user_id) DO UPDATE SET changed_at = clock_timestamp(),
        attributes = CASE WHEN u.attributes = '{}' THEN excluded.attributes ELSE u.attributes END,
        personalised = u.personalised AND excluded.personalised""")
_ADOPT_TRAITS = text("""
    UPDATE user_traits SET user_id = :user_id
    WHERE user_id = :former_id AND NOT EXISTS (SELECT FROM user_traits t WHERE t.user_id = :user_id)""")
_MOVE = {
    table: text(f"UPDATE {table} SET user_id = :user_id WHERE user_id = :former_id")  # noqa: S608 (constants)
    for table in ("exposures", "behaviours", "rejections")
}
_LEAVE = (
    text("DELETE FROM peers WHERE user_id IN (:user_id, :former_id) OR peer_id = :former_id"),
    text("DELETE FROM user_traits WHERE user_id = :former_id"),
    text("DELETE FROM users WHERE user_id = :former_id"),
)


@dataclass(frozen=True, slots=True)
class UserRow:
    """A user as he is to be written: attributes as sent, and as words comparable between users."""

    user_id: str
    attributes: Mapping[str, Any] | None  # None leaves what is there
    traits: Sequence[tuple[str, str]]  # name, value
    personalised: bool | None = None  # None leaves what is there


@dataclass(frozen=True, slots=True)
class Upserted:
    """What a batch of users came to."""

    changed: frozenset[str]  # who are new, or not as they were
    erased: frozenset[str]  # who were erased, and so are not written


@dataclass(frozen=True, slots=True)
class Erasure:
    """What an erasure found, and the receipt of the first one."""

    receipt: Receipt
    deleted: dict[str, int]  # rows by table


async def upsert_users(database: AsyncEngine, rows: Sequence[UserRow], *, erased: ErasedUsers) -> Upserted:
    """Write a batch in one transaction, all but the erased. Ids are distinct."""
    if not rows:
        return Upserted(frozenset(), frozenset())
    async with transaction(database) as connection:
        await connection.execute(SHARE_LOG)
        gone = await erased.among(connection, [row.user_id for row in rows])
        living = [row for row in rows if row.user_id not in gone]
        changed = frozenset(await connection.scalars(_UPSERT, _values(living)))
        described = {row.user_id: row for row in living if row.attributes is not None and row.user_id in changed}
        traits = [
            {"user_id": user_id, "name": name, "value": value}
            for user_id, row in described.items()
            for name, value in row.traits
        ]
        if described:
            await connection.execute(_DROP_TRAITS, {"ids": list(described)})
        if traits:
            await connection.execute(_ADD_TRAITS, {"rows": orjson.dumps(traits).decode()})
    return Upserted(changed, gone)


def _values(rows: Sequence[UserRow]) -> dict[str, object]:
    users = [{"user_id": row.user_id, "attributes": row.attributes, "personalised": row.personalised} for row in rows]
    return {
        "rows": orjson.dumps(users).decode(),
        "told": [row.user_id for row in rows if row.attributes is not None],
        "chosen": [row.user_id for row in rows if row.personalised is not None],
    }


async def user_by_id(database: AsyncEngine, user_id: str) -> User | None:
    """The user, if there is one."""
    async with transaction(database) as connection:
        row = (await connection.execute(_BY_ID, {"user_id": user_id})).one_or_none()
        return None if row is None else User(row.user_id, row.attributes)


async def count_users(database: AsyncEngine) -> int:
    """How many users there are."""
    async with transaction(database) as connection:
        return int(await connection.scalar(_COUNT) or 0)


async def erase(
    database: AsyncEngine, user_id: str, *, erased: ErasedUsers, actor: str, request_id: str | None = None
) -> Erasure:
    """Delete every row of the person in one transaction, and his name as an author; remember that, with the audit.

    Repeating it finds nothing more and gives the first receipt.
    """
    values = {"user_id": user_id}
    async with transaction(database) as connection:
        await connection.execute(_OWN_THE_LOG)
        receipt = await erased.remember(connection, user_id)
        deleted = {table: (await connection.execute(sql, values)).rowcount for table, sql in _ERASE.items()}
        deleted["dead_letters"] = await erase_letters(connection, user_id)
        change = Change(actor, "erase", erased.subject_of(user_id), None, {**asdict(receipt), **deleted}, request_id)
        await add_entry(connection, change)
    return Erasure(receipt, deleted)


async def merge(database: AsyncEngine, user_id: str, *, former_id: str, erased: ErasedUsers) -> dict[str, int] | None:
    """Let everything of the former id be the user's, in one transaction; rows moved per table. None when he is erased.

    What is known of the user himself goes before what was known of the former id. Repeating it finds nothing more.
    """
    values = {"user_id": user_id, "former_id": former_id}
    async with transaction(database) as connection:
        await connection.execute(_OWN_THE_LOG)
        if await erased.among(connection, [user_id]):
            return None
        await connection.execute(_ADOPT, values)
        await connection.execute(_ADOPT_TRAITS, values)
        moved = {table: (await connection.execute(sql, values)).rowcount for table, sql in _MOVE.items()}
        moved["dead_letters"] = await adopt_letters(connection, user_id, former_id=former_id)
        for statement in _LEAVE:
            await connection.execute(statement, values)
    return moved
