from __future__ import annotations

import pytest

from app.domain import User
from app.storage.events import log_batch
from app.storage.stores import Stores
from app.storage.users import UserRow, count_users, erase, upsert_users, user_by_id

pytestmark = pytest.mark.anyio


async def test_new_and_changed_users_are_told_and_others_not(stores: Stores):
    await upsert_users(
        stores.database, [UserRow("u1", {"a": 1}, ()), UserRow("u2", {"a": 1}, ())], erased=stores.erased
    )

    upserted = await upsert_users(
        stores.database,
        [UserRow("u1", {"a": 1.0}, ()), UserRow("u2", {"a": 2}, ()), UserRow("u3", None, ())],
        erased=stores.erased,
    )

    assert upserted.changed == {"u2", "u3"}
    assert await count_users(stores.database) == 3


async def test_an_unknown_user_is_none(stores: Stores):
    await upsert_users(stores.database, [UserRow("u1", None, ())], erased=stores.erased)

    assert await user_by_id(stores.database, "u1") == User("u1", {})
    assert await user_by_id(stores.database, "nobody") is None


async def test_an_event_makes_its_user_without_touching_one_who_is_there(stores: Stores):
    await upsert_users(stores.database, [UserRow("u1", {"a": 1}, ())], erased=stores.erased)

    async with log_batch(stores.database) as batch:
        await batch.add_users(["u2", "u1"])

    assert await user_by_id(stores.database, "u1") == User("u1", {"a": 1})
    assert await user_by_id(stores.database, "u2") == User("u2", {})


async def test_erasing_somebody_who_is_not_there_deletes_nothing(stores: Stores):
    await upsert_users(stores.database, [UserRow("u1", {"a": 1}, [("a", "1")])], erased=stores.erased)

    erasure = await erase(stores.database, "u", erased=stores.erased, actor="test")

    assert set(erasure.deleted.values()) == {0}
    assert await count_users(stores.database) == 1
