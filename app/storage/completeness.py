"""The database -> how complete its data is: what `tuwen doctor` judges. Counts whole tables, so not for requests."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.domain import BEHAVIOUR_KINDS, PictureStatus
from app.storage.postgres import transaction

SAMPLED_ROWS = 20_000  # of the log, where a share is enough

_POSTS = text("""
    SELECT count(*) AS posts, count(*) FILTER (WHERE alive) AS alive,
        count(*) FILTER (WHERE alive AND picture_status = :stored) AS pictured,
        count(*) FILTER (WHERE alive AND picture_status NOT IN (:stored, :none)) AS spoilt,
        count(*) FILTER (WHERE alive AND category IS NOT NULL) AS categorised
    FROM (SELECT *, deleted_at IS NULL AND NOT hidden AND coalesce(expires_at > clock_timestamp(), true) AS alive
          FROM posts) AS every""").bindparams(stored=PictureStatus.STORED, none=PictureStatus.NONE)
_USERS = text("""
    SELECT (SELECT count(*) FROM users) AS users, (SELECT count(DISTINCT user_id) FROM user_traits) AS described""")
_EXPOSURES = text("SELECT count(*) AS exposures, count(DISTINCT user_id) AS viewers FROM exposures")
_BEHAVIOURS = text("SELECT kind, count(*) FROM behaviours GROUP BY kind")
_SAMPLED = text("""
    SELECT coalesce(avg((position IS NOT NULL)::int), 1) AS placed,
        coalesce(avg((shown_at > arrived_at + interval '1 minute')::int), 0) AS ahead
    FROM (SELECT position, shown_at, arrived_at FROM exposures LIMIT :rows) AS sampled
    """).bindparams(rows=SAMPLED_ROWS)


@dataclass(frozen=True, slots=True)
class Completeness:
    """How many of what; `alive` posts are neither deleted nor hidden nor expired."""

    posts: int
    alive: int
    pictured: int  # alive and with a picture that decodes
    spoilt: int  # alive, and their picture was missing, unreadable or too large
    categorised: int
    users: int
    described: int  # users with attributes
    exposures: int
    viewers: int  # users that were shown something
    behaviours: Mapping[str, int]  # by kind, in the order of BEHAVIOUR_KINDS
    placed_share: float  # of the exposures that say their position
    ahead_share: float  # of the exposures that were shown after they had arrived


async def read_completeness(database: AsyncEngine) -> Completeness:
    """Count. Raises Unavailable."""
    async with transaction(database) as connection:
        posts = (await connection.execute(_POSTS)).mappings().one()
        users = (await connection.execute(_USERS)).mappings().one()
        exposures = (await connection.execute(_EXPOSURES)).mappings().one()
        behaviours = {kind: int(count) for kind, count in await connection.execute(_BEHAVIOURS)}
        sampled = (await connection.execute(_SAMPLED)).mappings().one()
    return Completeness(
        **posts,
        **users,
        **exposures,
        behaviours={kind: behaviours.get(kind, 0) for kind in BEHAVIOUR_KINDS},
        placed_share=float(sampled["placed"]),
        ahead_share=float(sampled["ahead"]),
    )
