"""Posts <-> the table of posts: batches in, posts by id, all candidates."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.domain import PictureStatus, Post
from app.storage.erased import ErasedUsers
from app.storage.events import SHARE_LOG
from app.storage.postgres import transaction

COLUMNS = """post_id, title, picture_hash, picture_status, category, city, latitude, longitude, author_id, tags,
    published_at, expires_at, attributes, hidden, pinned_at, picture_print"""
_CONTENT = """title, category, city, latitude, longitude, author_id, tags, published_at, expires_at, attributes,
    deleted_at"""
_CONTENT_TYPES = """title text, category text, city text, latitude double precision, longitude double precision,
    author_id text, tags text[], published_at timestamptz, expires_at timestamptz, attributes jsonb,
    deleted_at timestamptz"""


def _prefixed(alias: str, columns: str) -> str:
    return ", ".join(f"{alias}.{column.strip()}" for column in columns.split(","))


# A row that is as it was keeps its changed_at, so that sending a catalogue again costs no reindex. (S608: only
# constants of this file are put together here; values travel as parameters.)
_UPSERT = text(f"""
    INSERT INTO posts AS p (post_id, {_CONTENT})
    SELECT post_id, {_CONTENT}
    FROM json_to_recordset(CAST(:rows AS json)) AS i (post_id text, {_CONTENT_TYPES})
    ORDER BY post_id COLLATE "C"
    ON CONFLICT (post_id) DO UPDATE
    SET ({_CONTENT}, changed_at) = ({_prefixed("excluded", _CONTENT)}, clock_timestamp())
    WHERE ({_prefixed("p", _CONTENT)}) IS DISTINCT FROM ({_prefixed("excluded", _CONTENT)})
    RETURNING post_id""")  # noqa: S608
# The rows are already locked, in order, by the upsert before it.
_AMEND = text("""
    UPDATE posts p
    SET picture_hash = CASE WHEN i.picture_status IS NULL THEN p.picture_hash ELSE i.picture_hash END,
        picture_print = CASE WHEN i.picture_status IS NULL THEN p.picture_print ELSE i.picture_print END,
        picture_status = coalesce(i.picture_status, p.picture_status),
        hidden = coalesce(i.hidden, p.hidden),
        pinned_at = coalesce(i.pinned_at, p.pinned_at),
        changed_at = clock_timestamp()
    FROM json_to_recordset(CAST(:rows AS json))
        AS i (post_id text, picture_hash text, picture_status text, picture_print bigint, hidden boolean,
              pinned_at timestamptz)
    WHERE p.post_id = i.post_id
        AND ((i.picture_status IS NOT NULL
              AND (p.picture_hash, p.picture_status) IS DISTINCT FROM (i.picture_hash, i.picture_status))
             OR p.hidden <> i.hidden
             OR (i.pinned_at IS NOT NULL AND p.pinned_at IS DISTINCT FROM i.pinned_at))
    RETURNING p.post_id""")
_SET_PICTURE = text("""
    UPDATE posts SET picture_hash = :picture_hash, picture_status = :picture_status, picture_print = :picture_print,
        changed_at = clock_timestamp()
    WHERE post_id = :post_id AND deleted_at IS NULL
        AND (picture_hash, picture_status) IS DISTINCT FROM (:picture_hash, :picture_status)
    RETURNING post_id""")
_SET_HIDDEN = text("""
    UPDATE posts SET hidden = :hidden, changed_at = clock_timestamp()
    WHERE post_id = :post_id AND deleted_at IS NULL AND hidden <> :hidden RETURNING post_id""")
_SET_PINNED = text("""
    UPDATE posts SET pinned_at = CASE WHEN :pinned THEN clock_timestamp() END, changed_at = clock_timestamp()
    WHERE post_id = :post_id AND deleted_at IS NULL AND (pinned_at IS NOT NULL) <> :pinned RETURNING post_id""")
_PINNED = text("""
    SELECT post_id FROM posts WHERE pinned_at IS NOT NULL AND NOT hidden AND deleted_at IS NULL
    ORDER BY pinned_at DESC, post_id LIMIT :limit""")
_DELETE = text("""
    UPDATE posts SET deleted_at = clock_timestamp(), changed_at = clock_timestamp()
    WHERE post_id = :post_id AND deleted_at IS NULL RETURNING post_id""")
_BY_ID = text(f"SELECT {COLUMNS} FROM posts WHERE post_id = ANY(:ids) AND deleted_at IS NULL")  # noqa: S608
_LOCKED = text(f"SELECT {COLUMNS} FROM posts WHERE post_id = :post_id AND deleted_at IS NULL FOR UPDATE")  # noqa: S608
_CANDIDATES = text(f"""
    SELECT {COLUMNS} FROM posts
    WHERE post_id > :after AND NOT hidden AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > now())
    ORDER BY post_id LIMIT :page_size""")  # noqa: S608
_COUNT = text("SELECT count(*) FROM posts WHERE deleted_at IS NULL")


@dataclass(frozen=True, slots=True)
class PostRow:
    """A post as it is to be written. Content always replaces; of the last five, None leaves what is there."""

    post_id: str
    title: str
    category: str | None = None
    city: str | None = None
    latitude: float | None = None
    longitude: float | None = None
    author_id: str | None = None
    tags: Sequence[str] = ()
    published_at: datetime | None = None
    expires_at: datetime | None = None
    attributes: Mapping[str, Any] = field(default_factory=dict)
    deleted_at: datetime | None = None  # None revives a deleted post
    picture_status: PictureStatus | None = None
    picture_hash: str | None = None  # counts only beside a picture_status
    picture_print: int | None = None  # likewise
    hidden: bool | None = None
    pinned_at: datetime | None = None


async def upsert_posts(database: AsyncEngine, rows: Sequence[PostRow], *, erased: ErasedUsers) -> frozenset[str]:
    """Write a batch in one transaction and return the ids of the posts that are new or changed. Ids are distinct.

    A post by a person who was erased is written without its author.
    """
    if not rows:
        return frozenset()
    async with transaction(database) as connection:
        await connection.execute(SHARE_LOG)  # so that an erasure under way is before or after, not between
        return await _write(connection, rows, erased)


async def change_post(
    database: AsyncEngine, post_id: str, changed: Callable[[Post], PostRow], *, erased: ErasedUsers
) -> bool:
    """Write a living post as `changed` makes it of what it is then; nobody else changes it meanwhile.

    False when there is none, any more: a deletion stands.
    """
    async with transaction(database) as connection:
        await connection.execute(SHARE_LOG)
        found = (await connection.execute(_LOCKED, {"post_id": post_id})).mappings().one_or_none()
        if found is not None:
            await _write(connection, [changed(post_of(found))], erased)
    return found is not None


async def _write(connection: AsyncConnection, rows: Sequence[PostRow], erased: ErasedUsers) -> frozenset[str]:
    amendments = [row for row in rows if (row.picture_status, row.hidden, row.pinned_at) != (None, None, None)]
    gone = await erased.among(connection, {row.author_id for row in rows if row.author_id is not None})
    rows = [replace(row, author_id=None) if row.author_id in gone else row for row in rows]
    changed = frozenset(await connection.scalars(_UPSERT, {"rows": orjson.dumps(rows).decode()}))
    if amendments:
        changed |= frozenset(await connection.scalars(_AMEND, {"rows": orjson.dumps(amendments).decode()}))
    return changed


async def set_picture(
    database: AsyncEngine,
    post_id: str,
    *,
    picture_status: PictureStatus,
    picture_hash: str | None,
    picture_print: int | None = None,
) -> bool:
    """Give a living post its picture, or say why it has none. False when nothing changed."""
    values = {
        "post_id": post_id,
        "picture_status": picture_status,
        "picture_hash": picture_hash,
        "picture_print": picture_print,
    }
    async with transaction(database) as connection:
        return await connection.scalar(_SET_PICTURE, values) is not None


async def set_hidden(database: AsyncEngine, post_id: str, *, hidden: bool) -> bool:
    """Hide a living post from recommendation, or show it again. False when nothing changed."""
    async with transaction(database) as connection:
        return await connection.scalar(_SET_HIDDEN, {"post_id": post_id, "hidden": hidden}) is not None


async def set_pinned(database: AsyncEngine, post_id: str, *, pinned: bool) -> bool:
    """Let a living post come first for everybody, or no longer. False when nothing changed."""
    async with transaction(database) as connection:
        return await connection.scalar(_SET_PINNED, {"post_id": post_id, "pinned": pinned}) is not None


async def pinned_posts(database: AsyncEngine, *, limit: int) -> list[str]:
    """Ids of the posts pinned last, the latest first."""
    async with transaction(database) as connection:
        return list(await connection.scalars(_PINNED, {"limit": limit}))


async def mark_deleted(database: AsyncEngine, post_id: str) -> bool:
    """Leave a tombstone: the log still knows the post, nothing else does. False when nothing changed."""
    async with transaction(database) as connection:
        return await connection.scalar(_DELETE, {"post_id": post_id}) is not None


async def posts_by_id(database: AsyncEngine, post_ids: Collection[str]) -> dict[str, Post]:
    """Those of the posts that exist; hidden ones too, deleted ones not."""
    async with transaction(database) as connection:
        rows = (await connection.execute(_BY_ID, {"ids": list(post_ids)})).mappings()
        return {row["post_id"]: post_of(row) for row in rows}


async def stream_candidates(database: AsyncEngine, *, page_size: int) -> AsyncIterator[list[Post]]:
    """All posts that may be recommended, by id, a page per transaction: not hidden, not deleted, not expired."""
    after = ""
    while True:
        async with transaction(database) as connection:
            rows = (await connection.execute(_CANDIDATES, {"after": after, "page_size": page_size})).mappings()
            page = [post_of(row) for row in rows]
        if page:
            yield page
            after = page[-1].post_id
        if len(page) < page_size:
            return


async def count_posts(database: AsyncEngine) -> int:
    """How many posts there are, hidden ones included, deleted ones not."""
    async with transaction(database) as connection:
        return int(await connection.scalar(_COUNT) or 0)


def post_of(row: RowMapping) -> Post:
    """A row of the table as a post of the domain."""
    return Post(
        post_id=row["post_id"],
        title=row["title"],
        picture_hash=row["picture_hash"],
        picture_status=PictureStatus(row["picture_status"]),
        category=row["category"],
        city=row["city"],
        latitude=row["latitude"],
        longitude=row["longitude"],
        author_id=row["author_id"],
        tags=tuple(row["tags"]),
        published_at=row["published_at"],
        expires_at=row["expires_at"],
        attributes=row["attributes"],
        hidden=row["hidden"],
        pinned_at=row["pinned_at"],
        picture_print=row["picture_print"],
    )
