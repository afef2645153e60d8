"""The catalogue and the log -> all their rows as of one moment, streamed, for export."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.storage.postgres import transaction

_STREAMED = {"yield_per": 2000}

_ONE_MOMENT = text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
_POSTS = text("""
    SELECT post_id, title, picture_hash, picture_status, category, city, latitude, longitude, author_id, tags,
        published_at, expires_at, attributes, hidden, pinned_at, deleted_at
    FROM posts ORDER BY post_id""")
_USERS = text("""
    SELECT json_build_object('user_id', user_id, 'attributes', attributes, 'personalised', personalised)::text
    FROM users ORDER BY user_id""")
# A behaviour is told with its exposure when both agree on user and post, as they do unless a client mixed them up.
_EXPOSURES = text("""
    SELECT json_build_object(
        'exposure_id', exposure_id, 'user_id', user_id, 'post_id', post_id, 'shown_at', shown_at, 'position', position,
        'scene', scene, 'recommendation_id', recommendation_id,
        'behaviours', coalesce(acts.acts, '[]'))::text AS line, coalesce(acts.count, 0) AS acts
    FROM exposures
    LEFT JOIN (
        SELECT exposure_id, user_id, post_id, count(*) AS count,
            json_agg(json_build_object('behaviour_id', behaviour_id, 'kind', kind, 'at', at) ORDER BY at, behaviour_id)
                AS acts
        FROM behaviours WHERE exposure_id IS NOT NULL GROUP BY exposure_id, user_id, post_id
    ) AS acts USING (exposure_id, user_id, post_id)
    ORDER BY exposure_id""")
_LOOSE = text("""
    SELECT json_build_object('behaviour_id', behaviour_id, 'exposure_id', exposure_id, 'user_id', user_id,
        'post_id', post_id, 'kind', kind, 'at', at)::text
    FROM (
        SELECT behaviour_id, exposure_id, user_id, post_id, kind, at FROM behaviours b
        WHERE NOT EXISTS (
            SELECT FROM exposures e
            WHERE e.exposure_id = b.exposure_id AND e.user_id = b.user_id AND e.post_id = b.post_id)
        UNION ALL
        SELECT behaviour_id, exposure_id, user_id, post_id, 'not_interested', at FROM rejections
    ) AS loose
    ORDER BY behaviour_id""")


class Snapshot:
    """An open transaction that sees one moment."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def posts(self) -> AsyncIterator[RowMapping]:
        """The rows of the posts, tombstones included."""
        async with self._connection.stream(_POSTS, execution_options=_STREAMED) as rows:
            async for row in rows.mappings():
                yield row

    async def users(self) -> AsyncIterator[str]:
        """One line of JSON per user."""
        async with self._connection.stream(_USERS, execution_options=_STREAMED) as rows:
            async for (line,) in rows:
                yield line

    async def exposures(self) -> AsyncIterator[tuple[str, int]]:
        """One line of JSON per exposure, its behaviours in it, and how many these are."""
        async with self._connection.stream(_EXPOSURES, execution_options=_STREAMED) as rows:
            async for line, acts in rows:
                yield line, acts

    async def loose_behaviours(self) -> AsyncIterator[str]:
        """One line of JSON per behaviour that is in no exposure's line, and per rejection."""
        async with self._connection.stream(_LOOSE, execution_options=_STREAMED) as rows:
            async for (line,) in rows:
                yield line


@asynccontextmanager
async def snapshot(engine: AsyncEngine) -> AsyncIterator[Snapshot]:
    """What is committed now, unchanged while the export runs. Raises Unavailable when the database cannot be used."""
    async with transaction(engine) as connection:
        await connection.execute(_ONE_MOMENT)
        yield Snapshot(connection)
