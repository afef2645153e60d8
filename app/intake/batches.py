"""A batch over HTTP -> the stores, one status per item; what is rejected is kept, to be tried again."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pydantic import BaseModel

from app.intake.event_records import BehaviourRecord, ExposureRecord
from app.intake.events import save_behaviours, save_exposures
from app.intake.posts import PostRecord, save_posts
from app.intake.status import ERASED, REJECTED, ItemStatus, save_items
from app.storage.dead_letters import Rejected, keep_letters
from app.storage.stores import Stores

Kind = Literal["post", "exposure", "behaviour"]


@dataclass(frozen=True, slots=True)
class _Way:
    """How items of a kind are read and saved."""

    model: type[BaseModel]
    save: Callable[[Stores, Any], Awaitable[list[ItemStatus]]]


# In the order in which one kind may need another.
WAYS: Mapping[Kind, _Way] = {
    "post": _Way(PostRecord, save_posts),
    "exposure": _Way(ExposureRecord, save_exposures),
    "behaviour": _Way(BehaviourRecord, save_behaviours),
}


async def take_in(stores: Stores, kind: Kind, items: Sequence[object], *, source: str) -> list[ItemStatus]:
    """Save the good items of a batch and keep the bad ones as dead letters; `source` is the id of the caller's key.

    Raises Unavailable: then sending the batch again is harmless.
    """
    statuses = await save_batch(stores, kind, items)
    rejected = [
        Rejected(kind, items[one.index], one.reason or "")
        for one in statuses
        if one.status == REJECTED and one.reason != ERASED
    ]
    settings = stores.settings
    await keep_letters(
        stores.database,
        rejected,
        source=source,
        erased=stores.erased,
        kept=settings.dead_letters_kept,
        days=settings.dead_letters_days,
    )
    return statuses


async def save_batch(stores: Stores, kind: Kind, items: Sequence[object]) -> list[ItemStatus]:
    """Save the good items of a batch; the bad ones are told in their statuses."""
    way = WAYS[kind]
    return await save_items(items, way.model, lambda records: way.save(stores, records))
