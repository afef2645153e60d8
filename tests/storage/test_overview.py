from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from app.storage.overview import attributes_of, behaviour_counts, row_counts, users_named
from app.storage.postgres import transaction
from app.storage.stores import Stores

pytestmark = pytest.mark.anyio
NOW = datetime(2026, 3, 1, tzinfo=UTC)


async def _insert(stores: Stores, statement: str, rows: list[dict[str, object]]) -> None:
    async with transaction(stores.database) as connection:
        await connection.execute(text(statement), rows)


async def test_an_empty_service_counts_nothing(stores: Stores) -> None:
    assert set((await row_counts(stores.database)).values()) == {0}
    assert set((await behaviour_counts(stores.database, since=NOW)).values()) == {0}


async def test_behaviours_are_counted_by_kind_from_a_moment_on(stores: Stores) -> None:
    kinds = ["click", "click", "like", "click"]
    await _insert(
        stores,
        "INSERT INTO behaviours (behaviour_id, user_id, post_id, kind, at, arrived_at)"
        " VALUES (:id, 'u', 'p', :kind, :at, :at)",
        [{"id": str(number), "kind": kind, "at": NOW + timedelta(days=number)} for number, kind in enumerate(kinds)],
    )

    counts = await behaviour_counts(stores.database, since=NOW + timedelta(days=1))

    assert counts == {"click": 2, "like": 1, "share": 0, "favourite": 0, "comment": 0}
    assert (await row_counts(stores.database))["behaviours"] == 4


async def test_users_are_found_by_the_beginning_of_their_ids(stores: Stores) -> None:
    await _insert(
        stores,
        "INSERT INTO users (user_id, attributes) VALUES (:id, '{\"age\": 24}')",
        [{"id": user_id} for user_id in ("person-002", "person-001", "personal", "visitor-1", "person-003")],
    )

    users = await users_named(stores.database, "person-", limit=2)

    assert [user.user_id for user in users] == ["person-001", "person-002"]
    assert await attributes_of(stores.database, "personal") == {"age": 24}
    assert await attributes_of(stores.database, "nobody") == {}
