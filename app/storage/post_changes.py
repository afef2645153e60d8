"""Changes of posts, as they were stamped: what a process reads to follow the catalogue, and how it hears of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.domain import Post
from app.storage.cache import Cache
from app.storage.postgres import transaction
from app.storage.posts import COLUMNS, post_of

VERSION_KEY = "posts:version"
CHANGES_AT_ONCE = 500
OVERLAP = timedelta(seconds=10)  # a change that was committed late still carries its earlier time

_CHANGED = text(f"""
    SELECT {COLUMNS}, deleted_at, changed_at FROM posts
    WHERE (changed_at, post_id) > (CAST(:after AS timestamptz), CAST(:post_id AS text))
    ORDER BY changed_at, post_id LIMIT :page_size""")  # noqa: S608
_LOOK_FROM = text("""
    SELECT least(CAST(:moment AS timestamptz), now()) - CAST(:overlap AS interval)""").bindparams(overlap=OVERLAP)


@dataclass(frozen=True, slots=True)
class PostChange:
    """A post as it is now, and when it became so."""

    post: Post
    deleted: bool
    changed_at: datetime  # UTC, aware


async def changed_since(
    database: AsyncEngine, moment: datetime, *, page_size: int = CHANGES_AT_ONCE
) -> AsyncIterator[list[PostChange]]:
    """Posts changed since the look whose latest change was at `moment`, oldest change first, a page per transaction.

    Hidden and deleted ones are included, and some that were seen then: a change is stamped before it is committed. What
    comes after the database's clock was set back is stamped earlier than what came before.
    """
    after, post_id = None, ""
    while True:
        async with transaction(database) as connection:
            after = after or await connection.scalar(_LOOK_FROM, {"moment": moment})
            values = {"after": after, "post_id": post_id, "page_size": page_size}
            rows = (await connection.execute(_CHANGED, values)).mappings()
            page = [PostChange(post_of(row), row["deleted_at"] is not None, row["changed_at"]) for row in rows]
        if page:
            yield page
            after, post_id = page[-1].changed_at, page[-1].post.post_id
        if len(page) < page_size:
            return


async def catalogue_clock(database: AsyncEngine) -> datetime:
    """The clock that stamps changes; that of another machine may differ."""
    async with transaction(database) as connection:
        moment: datetime = (await connection.execute(text("SELECT clock_timestamp()"))).scalar_one()
        return moment


async def announce_change(cache: Cache) -> None:
    """Tell every process that some post has changed; call it after the commit. Raises Unavailable."""
    async with cache.use() as client:
        await client.incr(VERSION_KEY)
