"""Post records and pictures -> the catalogue; files and HTTP both end here."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated

from pydantic import BaseModel, Field, model_validator

from app.domain import PictureStatus, Post
from app.errors import UnknownId
from app.intake.decoders import decoders_of
from app.intake.fields import RECORD, TAGS, Attributes, Id, Latitude, Longitude, Moment, Tag, Title, Word
from app.intake.freshness import posts_changed
from app.intake.status import ItemStatus, statuses_of_upsert
from app.storage import posts as table
from app.storage.posts import PostRow, posts_by_id, set_picture, upsert_posts
from app.storage.stores import Stores

NO_SUCH_POST = "no such post: send it first with POST /posts"


class PostRecord(BaseModel):
    """A post without its picture; sending it again replaces all of it, and revives it if it was deleted."""

    model_config = RECORD

    post_id: Id
    title: Title
    category: Word | None = None
    city: Word | None = None
    latitude: Latitude | None = None
    longitude: Longitude | None = None
    author_id: Id | None = None
    tags: Annotated[list[Tag], Field(max_length=TAGS)] = []
    published_at: Moment | None = None
    expires_at: Moment | None = None
    attributes: Attributes = {}

    @model_validator(mode="after")
    def _place_is_whole(self) -> PostRecord:
        if (self.latitude is None) != (self.longitude is None):
            raise ValueError("latitude and longitude must come together")
        return self


async def save_posts(stores: Stores, records: Sequence[PostRecord]) -> list[ItemStatus]:
    """Commit a batch of posts and say so to the caches; of several with one id the last counts."""
    return await save_rows(stores, [post_row(record) for record in records])


async def save_rows(stores: Stores, rows: Sequence[PostRow]) -> list[ItemStatus]:
    """The same for rows that bring their picture with them."""
    last = {row.post_id: row for row in rows}
    changed = await upsert_posts(stores.database, list(last.values()), erased=stores.erased)
    if changed:
        await posts_changed(stores)
    return statuses_of_upsert([row.post_id for row in rows], changed)


async def change_post(stores: Stores, post_id: str, changed: Callable[[Post], PostRecord]) -> None:
    """Change a post from what it is at that moment. Raises UnknownId, of a deleted one too."""
    if not await table.change_post(
        stores.database, post_id, lambda post: post_row(changed(post)), erased=stores.erased
    ):
        raise UnknownId(NO_SUCH_POST)
    await posts_changed(stores)


async def save_picture(stores: Stores, post_id: str, content: bytes) -> PictureStatus:
    """Give a post its picture and return STORED; a picture that is no good never replaces one that is.

    Raises UnknownId for a post that is not there, Unavailable when the bytes cannot be stored.
    """
    post = await _living(stores, post_id)
    kept = await asyncio.to_thread(keep_picture, stores, content)
    if kept.picture_status is not PictureStatus.STORED and post.picture_status is PictureStatus.STORED:
        return kept.picture_status
    if await set_picture(stores.database, post_id, **asdict(kept)):
        await posts_changed(stores)
    return kept.picture_status


@dataclass(frozen=True, slots=True)
class KeptPicture:
    """What became of a picture, and what of it is written with its post."""

    picture_status: PictureStatus
    picture_hash: str | None = None
    picture_print: int | None = None


def keep_picture(stores: Stores, content: bytes) -> KeptPicture:
    """Check and store the bytes of one picture; blocks, so call it in a thread."""
    decoded = decoders_of(stores).decode(content)
    if decoded.status is not PictureStatus.STORED:
        return KeptPicture(decoded.status)
    return KeptPicture(decoded.status, stores.pictures.save(decoded.content), decoded.picture_print)


async def set_hidden(stores: Stores, post_id: str, *, hidden: bool) -> bool:
    """Hide a post from every recommendation, or show it again. False when it already was so. Raises UnknownId."""
    changed = await table.set_hidden(stores.database, post_id, hidden=hidden)
    if changed:
        await posts_changed(stores)
    else:
        await _living(stores, post_id)
    return changed


async def set_pinned(stores: Stores, post_id: str, *, pinned: bool) -> bool:
    """Let a post come first for everybody, or no longer. False when it already was so. Raises UnknownId."""
    changed = await table.set_pinned(stores.database, post_id, pinned=pinned)
    if changed:
        await posts_changed(stores)
    else:
        await _living(stores, post_id)
    return changed


async def delete_post(stores: Stores, post_id: str) -> bool:
    """Delete a post; its showings stay in the log. False when there was nothing to delete."""
    changed = await table.mark_deleted(stores.database, post_id)
    if changed:
        await posts_changed(stores)
    return changed


async def _living(stores: Stores, post_id: str) -> Post:
    found = await posts_by_id(stores.database, [post_id])
    if post_id not in found:
        raise UnknownId(NO_SUCH_POST)
    return found[post_id]


def post_row(record: PostRecord) -> PostRow:
    """The content of a record as it is written; empty words stand for none."""
    return PostRow(
        post_id=record.post_id,
        title=record.title,
        category=record.category or None,
        city=record.city or None,
        latitude=record.latitude,
        longitude=record.longitude,
        author_id=record.author_id,
        tags=record.tags,
        published_at=record.published_at,
        expires_at=record.expires_at,
        attributes=record.attributes,
    )
