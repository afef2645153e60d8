"""Pages already returned -> an opaque cursor, and back, in Redis: what a feed has got does not come again.

A cursor stands for everything returned up to it, and is never changed: asking twice with one cursor is harmless.
"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from hashlib import sha256

import orjson

from app.errors import ExpiredCursor
from app.storage.cache import Cache

KEPT_SECONDS = 30 * 60
TOKEN_BYTES = 16
CURSOR_CHARACTERS_AT_MOST = 64
EXPIRED = "cursor: unknown, of another user, or older than half an hour; ask again without it to start from the top"


async def save_page(cache: Cache, user_id: str, post_ids: Sequence[str]) -> str:
    """Keep the ids returned so far and give the cursor for what follows. Raises Unavailable."""
    cursor = secrets.token_urlsafe(TOKEN_BYTES)
    async with cache.use() as redis:
        await redis.set(_key(cursor), orjson.dumps((_digest(user_id), list(post_ids))), ex=KEPT_SECONDS)
    return cursor


async def read_page(cache: Cache, user_id: str, cursor: str) -> tuple[str, ...]:
    """The ids returned up to the cursor. Raises ExpiredCursor, Unavailable."""
    if len(cursor) > CURSOR_CHARACTERS_AT_MOST:
        raise ExpiredCursor(EXPIRED)
    async with cache.use() as redis:
        content = await redis.get(_key(cursor))
    if content is None:
        raise ExpiredCursor(EXPIRED)
    digest, post_ids = orjson.loads(content)
    if digest != _digest(user_id):
        raise ExpiredCursor(EXPIRED)
    return tuple(post_ids)


def _key(cursor: str) -> str:
    return f"page:{cursor}"


def _digest(user_id: str) -> str:
    """Instead of the id itself: erasing a person must not need a look at every page."""
    return sha256(user_id.encode()).hexdigest()[:16]
