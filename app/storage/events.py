"""Exposures and behaviours -> the log in PostgreSQL, each id once; one transaction per batch.

Rows travel as one JSON parameter per statement: as fast as COPY into a temporary table for large batches, four times
quicker for small ones, and it leaves the catalogue of tables alone. Every statement takes its rows in the order of
their keys, and tables in one order, so that writers of the same rows wait for each other and never in a circle.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.domain import Behaviour, Exposure, Rejection
from app.storage.erased import ErasedUsers
from app.storage.postgres import transaction

# Writers of users and of the log share this advisory lock. Erasing a person takes it alone, so that no batch under
# way brings him back.
LOG_LOCK = 0x7475_7765_6E01

SHARE_LOG = text("SELECT pg_advisory_xact_lock_shared(:lock)").bindparams(lock=LOG_LOCK)
# Ids come back as one text, one a line, since no id holds a line break: thousands of rows would cost more to
# fetch than to write.
_KNOWN_POSTS = text(r"SELECT string_agg(post_id, E'\n') FROM posts WHERE post_id = ANY(:ids)")
_OWNERS = text("SELECT exposure_id, user_id, post_id FROM exposures WHERE exposure_id = ANY(:ids)")
_ADD_USERS = text("""
    INSERT INTO users (user_id)
    SELECT i.user_id FROM unnest(CAST(:ids AS text[])) AS i (user_id)
    WHERE NOT EXISTS (SELECT FROM users u WHERE u.user_id = i.user_id)
    ORDER BY i.user_id COLLATE "C"
    ON CONFLICT DO NOTHING""")
_ADD_EXPOSURES = text(r"""
    WITH added AS (
    INSERT INTO exposures (exposure_id, user_id, post_id, shown_at, position, scene, recommendation_id,
        experiment, arm, propensity)
    SELECT exposure_id, user_id, post_id, shown_at, position, scene, recommendation_id, experiment, arm, propensity
    FROM json_to_recordset(CAST(:rows AS json)) AS i (exposure_id text, user_id text, post_id text,
        shown_at timestamptz, position int, scene text, recommendation_id text,
        experiment text, arm text, propensity real)
    ORDER BY exposure_id COLLATE "C"
    ON CONFLICT DO NOTHING RETURNING exposure_id)
    SELECT string_agg(exposure_id, E'\n') FROM added""")
_ADD_BEHAVIOURS = text(r"""
    WITH added AS (
    INSERT INTO behaviours (behaviour_id, user_id, post_id, kind, at, exposure_id)
    SELECT behaviour_id, user_id, post_id, kind, at, exposure_id
    FROM json_to_recordset(CAST(:rows AS json)) AS i (behaviour_id text, user_id text, post_id text,
        kind text, at timestamptz, exposure_id text)
    ORDER BY behaviour_id COLLATE "C"
    ON CONFLICT DO NOTHING RETURNING behaviour_id)
    SELECT string_agg(behaviour_id, E'\n') FROM added""")

_ADD_REJECTIONS = text(r"""
    WITH added AS (
    INSERT INTO rejections (behaviour_id, user_id, post_id, at, exposure_id)
    SELECT behaviour_id, user_id, post_id, at, exposure_id
    FROM json_to_recordset(CAST(:rows AS json)) AS i (behaviour_id text, user_id text, post_id text,
        at timestamptz, exposure_id text)
    ORDER BY behaviour_id COLLATE "C"
    ON CONFLICT DO NOTHING RETURNING behaviour_id)
    SELECT string_agg(behaviour_id, E'\n') FROM added""")


class LogBatch:
    """One open transaction on the log. Write in the order exposures, behaviours, rejections, users."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def known_posts(self, post_ids: Collection[str]) -> frozenset[str]:
        """Those of the posts that were ever sent; a deleted post is still known."""
        if not post_ids:
            return frozenset()
        return _ids(await self._connection.scalar(_KNOWN_POSTS, {"ids": list(post_ids)}))

    async def owners(self, exposure_ids: Collection[str]) -> dict[str, tuple[str, str]]:
        """User and post of those of the exposures that are in the log."""
        if not exposure_ids:
            return {}
        rows = await self._connection.execute(_OWNERS, {"ids": list(exposure_ids)})
        return {row.exposure_id: (row.user_id, row.post_id) for row in rows}

    async def erased(self, erased: ErasedUsers, user_ids: Collection[str]) -> frozenset[str]:
        """Those of the users who were erased: nothing of theirs may be written."""
        return await erased.among(self._connection, user_ids)

    async def add_users(self, user_ids: Collection[str]) -> None:
        """Make a row for every user who has none."""
        if user_ids:
            await self._connection.execute(_ADD_USERS, {"ids": list(user_ids)})

    async def add_exposures(self, exposures: Sequence[Exposure]) -> frozenset[str]:
        """Write the exposures that are not there yet and return their ids. Ids in a batch are distinct."""
        if not exposures:
            return frozenset()
        return _ids(await self._connection.scalar(_ADD_EXPOSURES, {"rows": orjson.dumps(exposures).decode()}))

    async def add_behaviours(self, behaviours: Sequence[Behaviour]) -> frozenset[str]:
        """Write the behaviours that are not there yet and return their ids. Ids in a batch are distinct."""
        if not behaviours:
            return frozenset()
        return _ids(await self._connection.scalar(_ADD_BEHAVIOURS, {"rows": orjson.dumps(behaviours).decode()}))

    async def add_rejections(self, rejections: Sequence[Rejection]) -> frozenset[str]:
        """Write the rejections that are not there yet and return their ids. Ids in a batch are distinct."""
        if not rejections:
            return frozenset()
        return _ids(await self._connection.scalar(_ADD_REJECTIONS, {"rows": orjson.dumps(rejections).decode()}))


def _ids(lines: str | None) -> frozenset[str]:
    return frozenset() if lines is None else frozenset(lines.split("\n"))


@asynccontextmanager
async def log_batch(engine: AsyncEngine) -> AsyncIterator[LogBatch]:
    """A transaction on the log, committed on leaving. Raises Unavailable when the database cannot be used."""
    async with transaction(engine) as connection:
        await connection.execute(SHARE_LOG)
        yield LogBatch(connection)
