"""The log -> how often what was shown is acted on: over time, per post, and what one user saw of one post."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.domain import Act, BehaviourKind
from app.storage.postgres import transaction

SHOWN = "shown"
LOOKED_BACK = (timedelta(hours=1), timedelta(days=1), timedelta(days=30))
SHOWINGS_AT_MOST = 20

# Nothing arrives before it happened, so the cheap index on arrival bounds what has to be read.
_OVER_TIME = """
    SELECT date_bin(CAST(:bucket AS interval), {shown}, CAST(:since AS timestamptz)) AS began_at,
        'shown' AS kind, count(*) AS count
    FROM exposures WHERE arrived_at >= :since AND {shown} >= :since GROUP BY 1
    UNION ALL
    SELECT date_bin(CAST(:bucket AS interval), {acted}, CAST(:since AS timestamptz)), kind, count(*)
    FROM behaviours WHERE arrived_at >= :since AND {acted} >= :since GROUP BY 1, 2"""
_HAPPENED = text(_OVER_TIME.format(shown="shown_at", acted="at"))
_ARRIVED = text(_OVER_TIME.format(shown="arrived_at", acted="arrived_at"))
_OF_POSTS = text("""
    SELECT post_id, 'shown' AS kind, count(*) AS count FROM exposures
    WHERE arrived_at >= :since AND post_id = ANY(:post_ids) GROUP BY 1
    UNION ALL
    SELECT post_id, kind, count(*) FROM behaviours
    WHERE arrived_at >= :since AND post_id = ANY(:post_ids) GROUP BY 1, 2""")
_SHOWINGS_OF_POST = text("""
    SELECT exposure_id, user_id, post_id, shown_at, position, scene, recommendation_id FROM exposures
    WHERE arrived_at >= :since AND post_id = :post_id ORDER BY shown_at DESC, exposure_id LIMIT :limit
    """).bindparams(limit=SHOWINGS_AT_MOST)
_SHOWINGS_TO_USER = text("""
    SELECT exposure_id, user_id, post_id, shown_at, position, scene, recommendation_id FROM exposures
    WHERE user_id = :user_id AND post_id = :post_id ORDER BY shown_at DESC, exposure_id LIMIT :limit
    """).bindparams(limit=SHOWINGS_AT_MOST)
_ACTS_OF_USER = text("""
    SELECT kind, at FROM behaviours WHERE user_id = :user_id AND post_id = :post_id ORDER BY at, behaviour_id LIMIT 100
    """)
_LATEST_ARRIVAL = text("SELECT max(arrived_at) FROM exposures WHERE arrived_at >= now() - CAST(:back AS interval)")
_LATEST_OF_ALL = text("SELECT max(arrived_at) FROM exposures")
_ARRIVED_SINCE = text("SELECT count(*) FROM exposures WHERE arrived_at >= :since")


@dataclass(frozen=True, slots=True)
class Rates:
    """How often something was shown, and how many acts of each kind followed."""

    shown: int = 0
    acted: Mapping[BehaviourKind, int] = field(default_factory=dict)

    def rate(self, kind: BehaviourKind) -> float | None:
        """Acts per showing; None where nothing was shown."""
        return self.acted.get(kind, 0) / self.shown if self.shown else None

    def __add__(self, other: Rates) -> Rates:
        kinds = self.acted.keys() | other.acted.keys()
        acted = {kind: self.acted.get(kind, 0) + other.acted.get(kind, 0) for kind in kinds}
        return Rates(self.shown + other.shown, acted)


@dataclass(frozen=True, slots=True)
class Showing:
    """A showing with what the client said of it."""

    exposure_id: str
    user_id: str
    post_id: str
    shown_at: datetime  # UTC, aware
    position: int | None
    scene: str | None
    recommendation_id: str | None


async def rates_over_time(database: AsyncEngine, *, since: datetime, bucket: timedelta) -> list[tuple[datetime, Rates]]:
    """Rates of each bucket of time since a moment, by when things happened; empty buckets are left out."""
    return await _over_time(database, _HAPPENED, since=since, bucket=bucket)


async def arrivals_over_time(
    database: AsyncEngine, *, since: datetime, bucket: timedelta
) -> list[tuple[datetime, Rates]]:
    """The same by when things arrived, which shows a past that is being replayed as it comes in."""
    return await _over_time(database, _ARRIVED, since=since, bucket=bucket)


async def _over_time(
    database: AsyncEngine, statement: TextClause, *, since: datetime, bucket: timedelta
) -> list[tuple[datetime, Rates]]:
    counts: dict[datetime, dict[str, int]] = {}
    async with transaction(database) as connection:
        for began_at, kind, count in await connection.execute(statement, {"since": since, "bucket": bucket}):
            counts.setdefault(began_at, {})[kind] = int(count)
    return [(began_at, _rates(counts[began_at])) for began_at in sorted(counts)]


def in_buckets(
    found: Iterable[tuple[datetime, Rates]], *, since: datetime, span: timedelta, bucket: timedelta
) -> list[Rates]:
    """Rates of every bucket of a span, by when each began; what came while they were counted is of the last one."""
    buckets = [Rates()] * int(span / bucket)
    for began_at, rates in found:
        place = min(len(buckets) - 1, int((began_at - since) / bucket))
        if place >= 0:
            buckets[place] += rates
    return buckets


async def rates_of_posts(database: AsyncEngine, post_ids: Collection[str], *, since: datetime) -> dict[str, Rates]:
    """Rates of each of these posts over what arrived since a moment."""
    counts: dict[str, dict[str, int]] = {}
    async with transaction(database) as connection:
        for post_id, kind, count in await connection.execute(_OF_POSTS, {"since": since, "post_ids": list(post_ids)}):
            counts.setdefault(post_id, {})[kind] = int(count)
    return {post_id: _rates(counts.get(post_id, {})) for post_id in post_ids}


def _rates(counts: Mapping[str, int]) -> Rates:
    return Rates(counts.get(SHOWN, 0), {kind: counts.get(kind, 0) for kind in BehaviourKind})


async def showings_of_post(database: AsyncEngine, post_id: str, *, since: datetime) -> list[Showing]:
    """The latest showings of a post that arrived since a moment, latest first."""
    async with transaction(database) as connection:
        rows = (await connection.execute(_SHOWINGS_OF_POST, {"since": since, "post_id": post_id})).all()
    return [Showing(*row) for row in rows]


async def showings_to_user(database: AsyncEngine, user_id: str, post_id: str) -> tuple[list[Showing], list[Act]]:
    """The showings of one post to one user, latest first, and what he did on it, in the order of time."""
    values = {"user_id": user_id, "post_id": post_id}
    async with transaction(database) as connection:
        rows = (await connection.execute(_SHOWINGS_TO_USER, values)).all()
        acts = (await connection.execute(_ACTS_OF_USER, values)).all()
    return [Showing(*row) for row in rows], [Act(BehaviourKind(kind), at) for kind, at in acts]


async def latest_arrival(database: AsyncEngine) -> datetime | None:
    """When the latest exposure arrived; None for an empty log."""
    async with transaction(database) as connection:
        for back in LOOKED_BACK:
            moment: datetime | None = await connection.scalar(_LATEST_ARRIVAL, {"back": back})
            if moment is not None:
                return moment
        latest: datetime | None = await connection.scalar(_LATEST_OF_ALL)
        return latest


async def arrived_since(database: AsyncEngine, moment: datetime) -> int:
    """How many exposures have arrived since a moment."""
    async with transaction(database) as connection:
        return int(await connection.scalar(_ARRIVED_SINCE, {"since": moment}) or 0)
