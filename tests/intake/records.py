"""Small builders: what a test does not care about gets a sensible value."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from io import BytesIO
from typing import Any

from PIL import Image
from sqlalchemy import text

from app.intake.event_records import BehaviourRecord, ExposureRecord
from app.intake.posts import PostRecord, save_posts
from app.storage.postgres import transaction
from app.storage.stores import Stores

NOON = datetime(2025, 6, 1, 12, tzinfo=UTC)


def exposure(user_id: str = "u1", post_id: str = "p1", *, seconds: float = 0, **fields: Any) -> ExposureRecord:
    """A showing some seconds after noon."""
    return ExposureRecord(user_id=user_id, post_id=post_id, shown_at=NOON + timedelta(seconds=seconds), **fields)


def behaviour(kind: str = "click", *, seconds: float = 0, **fields: Any) -> BehaviourRecord:
    """A behaviour some seconds after noon."""
    return BehaviourRecord.model_validate({"kind": kind, "at": NOON + timedelta(seconds=seconds), **fields})


async def given_posts(stores: Stores, *post_ids: str) -> None:
    """Posts that are nothing but an id and a title."""
    await save_posts(stores, [PostRecord(post_id=post_id, title=f"title of {post_id}") for post_id in post_ids])


async def rows(stores: Stores, columns_and_table: str) -> list[tuple[Any, ...]]:
    """The rows of `SELECT …`, in order of their columns."""
    async with transaction(stores.database) as connection:
        found = await connection.execute(text(f"SELECT {columns_and_table}"))
        return sorted((tuple(row) for row in found), key=repr)


def picture(encoding: str = "JPEG", *, size: tuple[int, int] = (40, 30), **options: Any) -> bytes:
    """A small picture with something in it."""
    output = BytesIO()
    Image.effect_mandelbrot(size, (-2, -1, 1, 1), 50).convert("RGB").save(output, encoding, **options)
    return output.getvalue()
