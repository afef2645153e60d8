"""The whole catalogue for reindexing and training: every post, and how often each was shown and acted on."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.domain import Post
from app.storage.postgres import transaction
from app.storage.posts import post_of

POSTS_PER_PAGE = 2_000
POPULAR_POSTS = 1_000
LATEST_BEHAVIOURS = 20_000  # looked at for accounts whose requests are sampled
POPULAR_DAYS = 7  # counted back from the log's latest behaviour, so that an old log has popular posts too

_PAGE = text("""
    SELECT post_id, title, picture_hash, picture_status, category, city, latitude, longitude, author_id, tags,
        published_at, expires_at, attributes, hidden, pinned_at, picture_print
    FROM posts WHERE post_id > :after AND (deleted_at IS NULL OR :deleted) ORDER BY post_id LIMIT :page_size""")
_POPULAR = text("""
    SELECT post_id FROM behaviours
    WHERE at > (SELECT max(at) FROM behaviours) - make_interval(days => :days)
    GROUP BY post_id ORDER BY count(DISTINCT user_id) DESC, post_id LIMIT :limit""")
_ACTED_ON_TOGETHER = text("""
    SELECT array_agg(post_id ORDER BY at DESC)
    FROM (SELECT user_id, post_id, max(at) AS at
          FROM (SELECT user_id, post_id, at FROM behaviours ORDER BY at DESC LIMIT :latest) AS acts
          GROUP BY user_id, post_id) AS latest
    GROUP BY user_id ORDER BY count(*) DESC, user_id LIMIT :users""")
_LATEST_CHANGE = text("SELECT max(changed_at) FROM posts WHERE deleted_at IS NULL")
_SHOWN = text("SELECT post_id, count(*) FROM exposures GROUP BY post_id")
_SHOWN_BEFORE = text("SELECT DISTINCT post_id FROM exposures WHERE shown_at < :moment")
_ACTED = text("SELECT post_id, count(DISTINCT user_id) FROM behaviours GROUP BY post_id")


@dataclass(frozen=True)
class PostCounts:
    """How often each post was shown, and how many accounts acted on it."""

    shown: dict[str, int]
    acted: dict[str, int]


async def stream_catalogue(database: AsyncEngine, *, with_deleted: bool) -> AsyncIterator[list[Post]]:
    """All posts by id, a page per transaction; hidden and expired ones too, because they serve as references."""
    after = ""
    while True:
        async with transaction(database) as connection:
            values = {"after": after, "deleted": with_deleted, "page_size": POSTS_PER_PAGE}
            page = [post_of(row) for row in (await connection.execute(_PAGE, values)).mappings()]
        if page:
            yield page
            after = page[-1].post_id
        if len(page) < POSTS_PER_PAGE:
            return


async def latest_change(database: AsyncEngine) -> datetime | None:
    """When any living post last changed; None for an empty catalogue."""
    async with transaction(database) as connection:
        moment: datetime | None = await connection.scalar(_LATEST_CHANGE)
        return moment


async def popular_posts(database: AsyncEngine) -> list[str]:
    """Ids of the posts that most accounts acted on lately, most popular first."""
    async with transaction(database) as connection:
        return list(await connection.scalars(_POPULAR, {"days": POPULAR_DAYS, "limit": POPULAR_POSTS}))


async def acted_on_together(database: AsyncEngine, *, users: int, posts_each: int) -> list[list[str]]:
    """The posts that each of some accounts acted on lately, latest first: those accounts that did most."""
    async with transaction(database) as connection:
        found = await connection.scalars(_ACTED_ON_TOGETHER, {"latest": LATEST_BEHAVIOURS, "users": users})
        return [posts[:posts_each] for posts in found]


async def post_counts(database: AsyncEngine) -> PostCounts:
    """Counts over the whole log."""
    async with transaction(database) as connection:
        shown = {post_id: int(count) for post_id, count in await connection.execute(_SHOWN)}
        acted = {post_id: int(count) for post_id, count in await connection.execute(_ACTED)}
    return PostCounts(shown, acted)


async def posts_shown_before(database: AsyncEngine, moment: datetime) -> set[str]:
    """Ids of the posts that anybody was shown before a moment."""
    async with transaction(database) as connection:
        return set(await connection.scalars(_SHOWN_BEFORE, {"moment": moment}))
