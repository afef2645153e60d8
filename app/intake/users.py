"""User records -> the table of users and their traits; and the erasure of a person everywhere."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import BaseModel

from app.intake.fields import RECORD, Attributes, Id
from app.intake.status import ItemStatus, statuses_of_upsert
from app.intake.traits import traits_of
from app.storage.stores import Stores
from app.storage.user_state import erase_cached_user, forget_peers
from app.storage.users import UserRow, erase, upsert_users


class UserRecord(BaseModel):
    """A user and what is known of him; attributes replace those sent before, none leave them alone."""

    model_config = RECORD

    user_id: Id
    attributes: Attributes | None = None


async def save_users(stores: Stores, records: Sequence[UserRecord]) -> list[ItemStatus]:
    """Commit a batch of users and say so to the caches; of several with one id the last counts."""
    last = {record.user_id: record for record in records}
    rows = [UserRow(user_id, record.attributes, traits_of(record.attributes or {})) for user_id, record in last.items()]
    changed = await upsert_users(stores.database, rows)
    await forget_peers(stores.cache, changed)
    return statuses_of_upsert([record.user_id for record in records], changed)


async def erase_user(stores: Stores, user_id: str) -> dict[str, int]:
    """Delete the person from every table and from the cache; rows deleted per table. Safe to repeat.

    Raises Unavailable when the cache is away: the tables are clean by then, and repeating the call finishes the work.
    """
    deleted = await erase(stores.database, user_id)
    await erase_cached_user(stores.cache, user_id)
    return deleted
