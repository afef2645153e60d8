"""Pages already returned -> an opaque cursor, and back, in Redis: what a feed has got does not come again.

A cursor stands for everything returned up to it, and is never changed: asking twice with one cursor is harmless. Long
feeds leave their earlier posts in segments that their later cursors share, so that a feed takes memory by its posts
and not by their square.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import cast

import orjson

from app.errors import ExpiredCursor
from app.storage.cache import Cache
from app.storage.reservations import Overtaken, Reservations, reserved_key

KEPT_SECONDS = 30 * 60
TOKEN_BYTES = 16
CURSOR_CHARACTERS_AT_MOST = 64
SEGMENT_POSTS = 500
FEED_POSTS_AT_MOST = 20_000  # of one feed before it has to start again from the top: no thumb scrolls so far
EXPIRED = "cursor: unknown, of another user, or older than half an hour; ask again without it to start from the top"


@dataclass(frozen=True, slots=True)
class Feed:
    """What one feed has got so far."""

    segments: tuple[str, ...] = ()  # tokens of the earlier posts' segments
    earlier: tuple[str, ...] = ()  # ids in the segments
    recent: tuple[str, ...] = ()  # ids since then

    @property
    def post_ids(self) -> tuple[str, ...]:
        """Everything returned up to here."""
        return self.earlier + self.recent


async def save_page(
    cache: Cache,
    user_id: str,
    feed: Feed,
    page: Sequence[str],
    *,
    reservations: Reservations,
    reserved_seconds: float,
    unless_overtaken: bool,
    goes_on: bool,
) -> str | None:
    """Keep what a page has added to the feed, reserve it, and give the cursor for what follows, if anything does.

    Raises Unavailable, and with `unless_overtaken` Overtaken when another page was reserved since the reservations were
    read.
    """
    recent, segments = (*feed.recent, *page), feed.segments
    goes_on = goes_on and len(feed.earlier) + len(recent) < FEED_POSTS_AT_MOST
    cursor = secrets.token_urlsafe(TOKEN_BYTES)
    async with cache.use() as redis, redis.pipeline(transaction=False) as pipeline:
        if goes_on:
            if len(recent) >= SEGMENT_POSTS:
                segments = (*segments, secrets.token_urlsafe(TOKEN_BYTES))
                pipeline.set(_segment_key(segments[-1]), orjson.dumps(recent), ex=KEPT_SECONDS)
                recent = ()
            for segment in feed.segments:
                pipeline.expire(_segment_key(segment), KEPT_SECONDS)
            pipeline.set(_key(cursor), orjson.dumps((cache.name_of(user_id), segments, recent)), ex=KEPT_SECONDS)
        if reserved_seconds and page:
            key = reserved_key(cache, user_id)
            reservations.extend(pipeline, key, page, seconds=reserved_seconds, unless_overtaken=unless_overtaken)
        results = await pipeline.execute() if len(pipeline) else []
    if reserved_seconds and page and results[-1] is not None:
        raise Overtaken(Reservations.of(results[-1]))
    return cursor if goes_on else None


async def read_feed(cache: Cache, user_id: str, cursor: str) -> Feed:
    """What was returned up to the cursor. Raises ExpiredCursor, Unavailable."""
    if len(cursor) > CURSOR_CHARACTERS_AT_MOST:
        raise ExpiredCursor(EXPIRED)
    async with cache.use() as redis:
        content = await redis.get(_key(cursor))
        if content is None:
            raise ExpiredCursor(EXPIRED)
        name, segments, recent = orjson.loads(content)
        if name != cache.name_of(user_id):
            raise ExpiredCursor(EXPIRED)
        keys = [_segment_key(one) for one in segments]
        parts = cast(list[bytes | None], await redis.mget(keys)) if keys else []
    if None in parts:
        raise ExpiredCursor(EXPIRED)
    earlier = tuple(post_id for part in parts for post_id in orjson.loads(part or b"[]"))
    return Feed(tuple(segments), earlier, tuple(recent))


def _key(cursor: str) -> str:
    return f"page:{cursor}"


def _segment_key(token: str) -> str:
    return f"segment:{token}"
