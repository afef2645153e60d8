"""Things of given ages in every table from which age deletes, and how old what is left of them is."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

from sqlalchemy import text

from app.intake.batches import take_in
from app.storage.audit import Change, write_audit
from app.storage.postgres import transaction
from app.storage.stores import Stores
from tests.intake.records import given_posts, rows

MOMENTS = {"exposures": "shown_at", "behaviours": "at", "rejections": "at", "dead_letters": "last_at", "audit": "at"}
DAY = timedelta(days=1)
# The database stamps letters and entries when they come; so they are written as of now, and then made older.
_OLDER_LETTERS = text("""
    UPDATE dead_letters SET first_at = first_at - age, last_at = last_at - age
    FROM (SELECT letter_id AS id, make_interval(hours => 24 * CAST(CAST(item AS json) ->> 'post_id' AS int)) AS age
          FROM dead_letters) AS aged
    WHERE letter_id = id""")
_OLDER_ENTRIES = text("UPDATE audit SET at = at - make_interval(hours => 24 * CAST(subject AS int))")


def limited(stores: Stores, **days: int) -> Stores:
    """The same stores with some limits of age."""
    return replace(stores, settings=stores.settings.model_copy(update=days))


async def given_ages(stores: Stores, ages: Iterable[int]) -> None:
    """Of each age in days a showing, an act, a rejection, a dead letter and an entry of the audit; nothing else."""
    await given_posts(stores, "p")
    now, user, ages = datetime.now(UTC), {"user_id": "u1", "post_id": "p"}, list(ages)
    moments = [(now - age * DAY).isoformat() for age in ages]
    shown = [user | {"shown_at": at, "behaviours": [{"kind": "click", "at": at}]} for at in moments]
    lost = [user | {"shown_at": now.isoformat(), "post_id": str(age)} for age in ages]
    await take_in(stores, "exposure", [*shown, *lost], source="key-1")
    rejected = [user | {"kind": "not_interested", "at": at} for at in moments]
    await take_in(stores, "behaviour", rejected, source="key-1")
    for age in ages:
        await write_audit(stores.database, Change("key-1", "test", str(age)))
    async with transaction(stores.database) as connection:
        await connection.execute(_OLDER_LETTERS)
        await connection.execute(_OLDER_ENTRIES)


async def ages_left(stores: Stores) -> dict[str, list[int]]:
    """How many days old the rows of each table are, youngest first."""
    now, left = datetime.now(UTC), {}
    for table, moment in MOMENTS.items():
        left[table] = sorted(round((now - at) / DAY) for (at,) in await rows(stores, f"{moment} FROM {table}"))
    return left
