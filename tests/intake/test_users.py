from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest
import redis
from sqlalchemy import text

from app.errors import Unavailable
from app.intake.events import save_behaviours, save_exposures
from app.intake.users import UserRecord, erase_user, save_users
from app.storage.cache import PAUSE_AFTER_FAILURE_SECONDS, Cache
from app.storage.erased import KEY_FILE
from app.storage.own_key import own_key
from app.storage.postgres import async_engine, transaction
from app.storage.stores import Stores
from app.storage.user_cache import keys_of
from app.storage.user_state import load_user_state
from app.storage.users import count_users, user_by_id
from tests.intake.records import behaviour, exposure, given_posts, rows

pytestmark = pytest.mark.anyio


async def test_a_user_is_stored_with_his_traits(stores: Stores):
    [status] = await save_users(stores, [UserRecord(user_id="u1", attributes={"age": 24, "gender": "M"})])

    assert (status.id, status.status) == ("u1", "accepted")
    assert await rows(stores, "user_id, name, value FROM user_traits") == [
        ("u1", "age", "20-24"),
        ("u1", "gender", "M"),
    ]
    user = await user_by_id(stores.database, "u1")
    assert user is not None
    assert user.attributes == {"age": 24, "gender": "M"}


async def test_new_attributes_replace_the_old_ones_and_their_traits(stores: Stores):
    await save_users(stores, [UserRecord(user_id="u1", attributes={"age": 24, "gender": "M"})])

    await save_users(stores, [UserRecord(user_id="u1", attributes={"age": 25})])

    assert await rows(stores, "name, value FROM user_traits") == [("age", "25-29")]


async def test_the_same_attributes_again_change_nothing(stores: Stores):
    record = UserRecord(user_id="u1", attributes={"age": 24})
    await save_users(stores, [record])
    before = await rows(stores, "* FROM users")

    [status] = await save_users(stores, [record])

    assert status.status == "duplicate"
    assert await rows(stores, "* FROM users") == before


async def test_a_record_without_attributes_leaves_them_alone(stores: Stores):
    await save_users(stores, [UserRecord(user_id="u1", attributes={"age": 24})])

    statuses = await save_users(stores, [UserRecord(user_id="u1"), UserRecord(user_id="u2")])

    assert [one.status for one in statuses] == ["duplicate", "accepted"]
    assert await rows(stores, "user_id, attributes FROM users") == [("u1", {"age": 24}), ("u2", {})]


async def test_of_two_records_of_a_user_in_a_batch_each_counts_for_what_it_names(stores: Stores):
    wish = UserRecord(user_id="u1", attributes={"age": 24}, personalised=False)

    await save_users(stores, [wish, UserRecord(user_id="u1", attributes={"age": 25})])

    assert await rows(stores, "attributes, personalised FROM users") == [({"age": 25}, False)]


async def test_a_user_made_by_an_exposure_gets_his_attributes_later(stores: Stores):
    await given_posts(stores, "p1")
    await save_exposures(stores, [exposure("u1", "p1")])

    await save_users(stores, [UserRecord(user_id="u1", attributes={"gender": "F"})])

    assert await rows(stores, "user_id, value FROM user_traits") == [("u1", "F")]


async def given_a_life(stores: Stores) -> None:
    await given_posts(stores, "p1")
    await save_users(stores, [UserRecord(user_id=name, attributes={"gender": "F"}) for name in ("u1", "u2")])
    await save_exposures(stores, [exposure(name, "p1", exposure_id=f"e-{name}") for name in ("u1", "u2")])
    await save_behaviours(stores, [behaviour(exposure_id=f"e-{name}") for name in ("u1", "u2")])
    await save_behaviours(stores, [behaviour(exposure_id=f"e-{name}", kind="not_interested") for name in ("u1", "u2")])
    async with transaction(stores.database) as connection:
        await connection.execute(
            text("INSERT INTO peers (user_id, kind, peer_id, overlap) VALUES (:a, 'similar_user', :b, 1)"),
            [{"a": "u1", "b": "u2"}, {"a": "u2", "b": "u1"}],
        )


async def test_an_erased_person_is_in_no_table_and_in_no_cache(stores: Stores):
    await given_a_life(stores)
    await load_user_state(stores, "u1")

    erased = await erase_user(stores, "u1", actor="test")
    again = await erase_user(stores, "u1", actor="test")

    rows_deleted = {"user_traits": 1, "users": 1, "exposures": 1, "behaviours": 1, "rejections": 1, "peers": 2}
    assert rows_deleted.items() <= erased.deleted.items()
    assert erased.deleted["cache_entries"] >= 2
    assert (again.receipt, set(again.deleted.values())) == (erased.receipt, {0})
    for table in ("users", "user_traits", "exposures", "behaviours", "rejections", "peers"):
        assert not any("u1" in row for row in await rows(stores, f"* FROM {table}"))
    async with stores.cache.use() as client:
        assert not await client.exists(*keys_of(stores.cache, "u1"))
    assert await count_users(stores.database) == 1


async def test_erasing_without_a_cache_cleans_the_tables_and_asks_to_be_repeated(stores: Stores):
    await given_a_life(stores)
    lonely = replace(stores, cache=Cache("redis://127.0.0.1:1/0", timeout_seconds=0.2, naming_key=b""))

    with pytest.raises(Unavailable):
        await erase_user(lonely, "u1", actor="test")

    assert await rows(stores, "user_id FROM exposures") == [("u2",)]


async def test_a_wish_for_no_personal_list_is_done_only_once_a_frozen_cache_knows_it(stores: Stores, redis_url: str):
    wish = UserRecord(user_id="u1", personalised=False)
    await given_a_life(stores)
    before = (await load_user_state(stores, "u1")).state
    own = own_key(stores.settings.home, KEY_FILE)
    api = replace(stores, cache=Cache(redis_url, timeout_seconds=0.1, naming_key=own))
    nowhere = async_engine("postgresql://nobody@127.0.0.1:1/none", statement_timeout_seconds=1)
    other_worker = replace(stores, database=nowhere)

    with redis.Redis.from_url(redis_url) as client:
        client.client_pause(500)
    with pytest.raises(Unavailable):
        await save_users(api, [wish])
    await asyncio.sleep(PAUSE_AFTER_FAILURE_SECONDS + 0.1)
    [again] = await save_users(api, [wish])
    after = (await load_user_state(other_worker, "u1")).state

    assert before.personalised
    assert before.shown
    assert again.status == "duplicate"
    assert after.shown == ()
    await nowhere.dispose()


async def test_a_repeated_wish_drops_what_the_cache_still_has(stores: Stores):
    wish = UserRecord(user_id="u1", personalised=False)
    await given_a_life(stores)
    await save_users(stores, [wish])
    async with stores.cache.use() as client:
        for key in (keys_of(stores.cache, "u1").log, keys_of(stores.cache, "u1").peers):
            await client.set(key, b"of before the wish")

    await save_users(stores, [wish])

    async with stores.cache.use() as client:
        assert not await client.exists(keys_of(stores.cache, "u1").log, keys_of(stores.cache, "u1").peers)


async def test_writers_and_erasers_of_the_same_users_never_lock_each_other_out(stores: Stores):
    def batch(age: int, step: int) -> list[UserRecord]:
        return [UserRecord(user_id=f"u{n}", attributes={"age": age}) for n in range(300)[::step]]

    await asyncio.gather(
        *(save_users(stores, batch(age, step)) for age, step in ((20, 1), (30, -1), (40, 1))),
        *(erase_user(stores, f"u{n}", actor="test") for n in (5, 250)),
    )

    assert await count_users(stores.database) >= 298
    assert len(await rows(stores, "user_id FROM user_traits")) == await count_users(stores.database)
