"""Row 29: what is older than wanted is deleted from every table that has a limit, and nothing younger."""

from __future__ import annotations

import pytest

from app.intake.retention import delete_old
from app.storage.stores import Stores
from tests.intake.aged import MOMENTS, ages_left, given_ages, limited
from tests.trust.figures import Row

LIMITS = {"retention_days": 30, "dead_letters_days": 20, "audit_days": 40}
WANTED = dict.fromkeys(MOMENTS, 30) | {"dead_letters": 20, "audit": 40}  # days


@pytest.mark.anyio
@pytest.mark.trust(29)
async def test_what_is_older_than_wanted_is_gone(stores: Stores, row: Row) -> None:
    await given_ages(stores, range(60))

    await delete_old(limited(stores, **LIMITS))

    left = await ages_left(stores)
    old = {table: sum(age >= WANTED[table] for age in ages) for table, ages in left.items()}
    young = {table: WANTED[table] - (len(ages) - old[table]) for table, ages in left.items()}
    row.done = "60 showings, acts, rejections, dead letters and entries of the audit, a day apart, and limits of age"
    row.none(events_older_than_wanted=sum(old.values()) - old["dead_letters"] - old["audit"])
    row.none(letters_older_than_wanted=old["dead_letters"], entries_of_the_audit_older_than_wanted=old["audit"])
    row.none(younger_ones_deleted=sum(young.values()))
    assert left == {table: list(range(days)) for table, days in WANTED.items()}
