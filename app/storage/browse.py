"""What people look for in the catalogue and among the users -> a page of posts, a page of users. Read-only, bounded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.domain import Post
from app.storage.postgres import transaction
from app.storage.posts import post_of

ACTIVE_HOURS = 24

_CONDITIONS = """deleted_at IS NULL
    AND (CAST(:title AS text) IS NULL OR title ILIKE :title OR post_id = :post_id)
    AND (CAST(:category AS text) IS NULL OR category = :category)
    AND (CAST(:city AS text) IS NULL OR city = :city)
    AND CASE CAST(:state AS text)
        WHEN 'hidden' THEN hidden
        WHEN 'pinned' THEN pinned_at IS NOT NULL
        WHEN 'expired' THEN expires_at <= now()
        WHEN 'no-picture' THEN picture_hash IS NULL
        ELSE true END"""
# (S608: only constants of this file are put together; values travel as parameters.)
_POSTS = text(f"""
    SELECT * FROM posts WHERE {_CONDITIONS}
    ORDER BY published_at DESC NULLS LAST, post_id LIMIT :limit OFFSET :offset""")  # noqa: S608
_COUNT = text(f"SELECT count(*) FROM posts WHERE {_CONDITIONS}")  # noqa: S608
_CHOICES = text("""
    SELECT 'category' AS column_name, category AS word, count(*) AS posts FROM posts
    WHERE deleted_at IS NULL AND category IS NOT NULL GROUP BY category
    UNION ALL
    SELECT 'city', city, count(*) FROM posts
    WHERE deleted_at IS NULL AND city IS NOT NULL GROUP BY city
    ORDER BY posts DESC, word""")
_LATEST = """
    LEFT JOIN LATERAL (
        SELECT shown_at FROM exposures e WHERE e.user_id = u.user_id ORDER BY shown_at DESC LIMIT 1
    ) AS showing ON true
    LEFT JOIN LATERAL (
        SELECT kind, at FROM behaviours b WHERE b.user_id = u.user_id ORDER BY at DESC LIMIT 1
    ) AS act ON true"""
_NAMED = text(f"""
    SELECT u.user_id, u.attributes, showing.shown_at, act.kind, act.at FROM (
        SELECT user_id, attributes FROM users
        WHERE user_id >= :prefix AND user_id < :prefix || chr(1114111) ORDER BY user_id LIMIT :limit
    ) AS u {_LATEST} ORDER BY u.user_id""")  # noqa: S608
_ACTIVE = text(f"""
    SELECT u.user_id, described.attributes, showing.shown_at, act.kind, act.at FROM (
        SELECT user_id, max(arrived_at) AS arrived_at FROM behaviours
        WHERE arrived_at >= now() - make_interval(hours => :hours)
        GROUP BY user_id ORDER BY max(arrived_at) DESC, user_id LIMIT :limit
    ) AS u LEFT JOIN users AS described ON described.user_id = u.user_id {_LATEST}
    ORDER BY u.arrived_at DESC, u.user_id""").bindparams(hours=ACTIVE_HOURS)  # noqa: S608


class PostState(StrEnum):
    """Which posts are looked for."""

    ANY = "any"
    HIDDEN = "hidden"
    PINNED = "pinned"
    EXPIRED = "expired"
    NO_PICTURE = "no-picture"


@dataclass(frozen=True, slots=True)
class PostSearch:
    """What a post must be like; empty words ask for nothing."""

    words: str = ""  # part of the title, or the whole id
    category: str = ""
    city: str = ""
    state: PostState = PostState.ANY

    def values(self) -> dict[str, object]:
        """As parameters of the statements."""
        escaped = self.words.replace("\\", r"\\").replace("%", r"\%").replace("_", r"\_")
        return {
            "title": f"%{escaped}%" if self.words else None,
            "post_id": self.words,
            "category": self.category or None,
            "city": self.city or None,
            "state": self.state,
        }


@dataclass(frozen=True, slots=True)
class FoundUser:
    """A user in a list: what is known of him, and his latest showing and act."""

    user_id: str
    attributes: Mapping[str, Any]
    shown_at: datetime | None  # UTC, aware
    act: str | None  # kind of the latest act
    acted_at: datetime | None  # UTC, aware


async def find_posts(database: AsyncEngine, search: PostSearch, *, limit: int, offset: int) -> tuple[list[Post], int]:
    """One page, latest published first, and how many posts there are in all; hidden ones too, deleted ones not."""
    values = search.values()
    async with transaction(database) as connection:
        rows = await connection.execute(_POSTS, {**values, "limit": limit, "offset": offset})
        posts = [post_of(row) for row in rows.mappings()]
        return posts, int(await connection.scalar(_COUNT, values) or 0)


async def post_choices(database: AsyncEngine) -> Mapping[str, list[tuple[str, int]]]:
    """Categories and cities with the number of their posts, most first."""
    found: dict[str, list[tuple[str, int]]] = {"category": [], "city": []}
    async with transaction(database) as connection:
        for column, word, count in await connection.execute(_CHOICES):
            found[column].append((word, int(count)))
    return found


async def find_users(database: AsyncEngine, prefix: str, *, limit: int) -> list[FoundUser]:
    """Described users whose ids begin with `prefix`, in the order of their ids."""
    return await _users(database, _NAMED, {"prefix": prefix, "limit": limit})


async def active_users(database: AsyncEngine, *, limit: int) -> list[FoundUser]:
    """Users whose acts have arrived within the last day, the latest first; described ones and others."""
    return await _users(database, _ACTIVE, {"limit": limit})


async def _users(database: AsyncEngine, statement: TextClause, values: dict[str, object]) -> list[FoundUser]:
    async with transaction(database) as connection:
        rows = (await connection.execute(statement, values)).all()
    return [FoundUser(row[0], row[1] or {}, *row[2:]) for row in rows]
