"""User records -> the table of users and their traits; and the erasure of a person everywhere."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

from pydantic import BaseModel

from app.intake.fields import RECORD, Attributes, Id
from app.intake.freshness import posts_changed
from app.intake.rejects import erase_rejects
from app.intake.status import ItemStatus, statuses_of_upsert
from app.intake.traits import traits_of
from app.storage.erased import Receipt
from app.storage.stores import Stores
from app.storage.user_cache import drop_states, erase_cached_user, forget_peers, forget_users
from app.storage.users import AUTHORED, UserRow, erase, merge, upsert_users


class UserRecord(BaseModel):
    """A user and what is known of him; attributes replace those sent before, none leave them alone."""

    model_config = RECORD

    user_id: Id
    attributes: Attributes | None = None
    personalised: bool | None = None  # false: a list made from nothing that is known of him


@dataclass(frozen=True, slots=True)
class Erased:
    """The receipt of an erasure, and what there was to delete this time."""

    receipt: Receipt
    # Rows by table, posts that have no author now, lines of rejects files, entries of the cache.
    deleted: dict[str, int]


async def save_users(stores: Stores, records: Sequence[UserRecord]) -> list[ItemStatus]:
    """Commit a batch of users and say so to the caches; of several with one id the last word on each thing counts.

    Safe to repeat. Raises Unavailable when the cache is away and may still have a personal list of a user who wants
    none: the tables are written by then, and repeating the call finishes the work.
    """
    said: dict[str, UserRecord] = {}
    for record in records:
        before = said.get(record.user_id, record)
        said[record.user_id] = before.model_copy(update=record.model_dump(exclude_none=True))
    rows = [
        UserRow(user_id, record.attributes, traits_of(record.attributes or {}), record.personalised)
        for user_id, record in said.items()
    ]
    written = await upsert_users(stores.database, rows, erased=stores.erased)
    await forget_peers(stores.cache, written.changed)
    living = [row for row in rows if row.user_id not in written.erased]
    await forget_users(stores.cache, [row.user_id for row in living if row.personalised])
    # Unchanged ones too: the call may be the repetition of one that did not reach the cache.
    if opted_out := [row.user_id for row in living if row.personalised is False]:
        await drop_states(stores.cache, opted_out)
    return statuses_of_upsert([record.user_id for record in records], written.changed, erased=written.erased)


async def erase_user(stores: Stores, user_id: str, *, actor: str, request_id: str | None = None) -> Erased:
    """Delete the person from every table, every rejects file and the cache, and take nothing of theirs in any more.

    Safe to repeat. Raises Unavailable when the cache or the disk is away: the tables are clean by then, and repeating
    the call finishes the work.
    """
    erasure = await erase(stores.database, user_id, erased=stores.erased, actor=actor, request_id=request_id)
    if erasure.deleted[AUTHORED]:
        await posts_changed(stores)
    lines = await asyncio.to_thread(erase_rejects, stores.settings.rejects, user_id)
    entries = await erase_cached_user(stores.cache, user_id)
    return Erased(erasure.receipt, {**erasure.deleted, "rejected_lines": lines, "cache_entries": entries})


async def merge_users(stores: Stores, user_id: str, *, former_id: str) -> dict[str, int] | None:
    """Let an anonymous user's log be that of the account he has signed in to; rows moved. None for an erased account.

    Events of the former id that arrive later make him anew: then repeat it. Raises Unavailable when the cache is away
    and may still have a personal list of who wants none, as `save_users` does.
    """
    moved = await merge(stores.database, user_id, former_id=former_id, erased=stores.erased)
    if moved is None:
        return None
    await drop_states(stores.cache, [user_id, former_id])
    await forget_peers(stores.cache, [user_id, former_id])
    return moved
