"""A user id -> his state, from PostgreSQL and Redis, with either or both away, and how long what Redis has counts."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections import Counter
from dataclasses import replace

import pytest
import redis as sync_redis
from hypothesis import given
from hypothesis import strategies as st

from app.domain import Act, BehaviourKind, ReferenceKind
from app.storage.cache import PAUSE_AFTER_FAILURE_SECONDS, Cache
from app.storage.erased import KEY_FILE
from app.storage.own_key import own_key
from app.storage.peers import Peer
from app.storage.postgres import async_engine
from app.storage.stores import Stores
from app.storage.user_bytes import CachedLog, CachedPeers
from app.storage.user_cache import (
    FRESH_SECONDS,
    INCOMPLETE_SECONDS,
    PAID_AT_ONCE,
    PEERS_FRESH_SECONDS,
    erase_cached_user,
    forget_peers,
    forget_users,
    fresh_seconds,
    keys_of,
    read_cached_user,
    write_cached_user,
)
from app.storage.user_state import load_user_state
from tests.storage.logbook import Logbook, minute

pytestmark = pytest.mark.anyio
NOWHERE = "127.0.0.1:1"


@pytest.fixture
def log(stores: Stores) -> Logbook:
    return Logbook(stores)


def without_redis(stores: Stores) -> Stores:
    return replace(stores, cache=Cache(f"redis://{NOWHERE}/0", timeout_seconds=0.2, naming_key=b""))


def without_postgres(stores: Stores) -> Stores:
    database = async_engine(f"postgresql://nobody@{NOWHERE}/none", statement_timeout_seconds=1)
    return replace(stores, database=database)


async def test_an_unknown_user_has_an_empty_state(stores):
    user = await load_user_state(stores, "nobody")

    assert user.state.shown == ()
    assert user.state.seen == frozenset()
    assert user.state.peers == ()
    assert user.degraded == ()


async def test_an_act_belongs_to_the_showing_it_names_or_to_the_latest_before_it(stores, log):
    first = log.shown("u", "p", 0)
    log.shown("u", "p", 10)
    log.did("u", "p", 20, kind="click", exposure_id=first)
    log.did("u", "p", 21, kind="like")
    await log.write()

    shown = (await load_user_state(stores, "u")).state.shown

    assert [one.acts for one in shown] == [
        (Act(BehaviourKind.CLICK, minute(20)),),
        (Act(BehaviourKind.LIKE, minute(21)),),
    ]


async def test_an_act_without_a_showing_counts_as_shown_at_its_own_time(stores, log):
    log.did("u", "p", 5, kind="click")
    log.did("u", "p", 6, kind="like")
    log.shown("u", "p", 30)
    await log.write()

    state = (await load_user_state(stores, "u")).state

    assert [(one.shown_at, len(one.acts)) for one in state.shown] == [(minute(5), 2), (minute(30), 0)]
    assert state.seen == {"p"}


async def test_showings_that_were_acted_on_are_kept_however_old(stores, log):
    log.shown("u", "liked", 0)
    log.did("u", "liked", 1)
    for number in range(300):
        log.shown("u", f"p{number}", 10 + number)
    await log.write()

    state = (await load_user_state(stores, "u")).state

    assert len(state.shown) == 201
    assert state.shown[0].post_id == "liked"
    assert state.shown[-1].post_id == "p299"
    assert len(state.seen) == 301


async def test_a_state_from_the_cache_equals_the_one_from_the_database(stores, log):
    exposure_id = log.shown("u", "p", 0.123456789)
    log.did("u", "p", 1.987654321, kind="click", exposure_id=exposure_id)
    for user_id in ("u", "v"):
        log.did(user_id, "q", 2)
    await log.write()

    loaded = await load_user_state(stores, "u")
    cached = await load_user_state(without_postgres(stores), "u")

    assert cached == loaded
    assert [peer.user_id for peer in cached.state.peers] == ["v"]


async def test_a_committed_change_shows_in_the_next_request_once_it_is_announced(stores, log):
    await load_user_state(stores, "u")
    log.shown("u", "p", 0)
    await log.write()

    before = await load_user_state(stores, "u")
    await forget_users(stores.cache, ["u"])
    after = await load_user_state(stores, "u")

    assert before.state.seen == frozenset()
    assert after.state.seen == {"p"}


async def test_a_version_that_is_lost_does_not_bring_an_old_state_back(stores, log, redis_url):
    await load_user_state(stores, "u")
    await forget_users(stores.cache, ["u"])
    await load_user_state(stores, "u")
    log.shown("u", "p", 0)
    await log.write()
    sync_redis.Redis.from_url(redis_url).delete(keys_of(stores.cache, "u").version)

    assert (await load_user_state(stores, "u")).state.seen == {"p"}


@pytest.mark.parametrize("foreign", [b"", b"\x80\x04junk", b"5", b'[0,"of another version"]'])
async def test_a_cache_entry_that_is_not_ours_counts_as_absent(stores, log, redis_url, foreign):
    log.shown("u", "p", 0)
    await log.write()
    client = sync_redis.Redis.from_url(redis_url)
    client.set(keys_of(stores.cache, "u").log, foreign)
    client.set(keys_of(stores.cache, "u").peers, foreign)

    user = await load_user_state(stores, "u")

    assert user.state.seen == {"p"}
    assert user.degraded == ()


async def test_a_version_that_could_not_be_written_is_made_up_for(stores, log, redis_url):
    impatient = replace(
        stores, cache=Cache(redis_url, timeout_seconds=0.1, naming_key=own_key(stores.settings.home, KEY_FILE))
    )
    await load_user_state(stores, "u")
    log.shown("u", "p", 0)
    await log.write()

    sync_redis.Redis.from_url(redis_url).client_pause(300)
    await forget_users(impatient.cache, ["u"])
    await asyncio.sleep(PAUSE_AFTER_FAILURE_SECONDS + 0.1)
    user = await load_user_state(impatient, "u")

    assert user.state.seen == {"p"}
    assert user.degraded == ()


@pytest.mark.parametrize(("older_by_seconds", "seen"), [(-5, frozenset()), (1, {"p"})])
async def test_a_state_counts_for_its_time_even_if_no_change_was_announced(
    stores, log, redis_url, older_by_seconds, seen
):
    await load_user_state(stores, "u")
    log.shown("u", "p", 0)
    await log.write()
    redis = sync_redis.Redis.from_url(redis_url)
    entry = CachedLog.of(redis.get(keys_of(stores.cache, "u").log), "u")
    read_at = time.time() - fresh_seconds("u") - older_by_seconds
    redis.set(keys_of(stores.cache, "u").log, replace(entry, read_at=read_at).to_bytes())

    assert (await load_user_state(stores, "u")).state.seen == seen


@given(st.text(min_size=1))
def test_every_state_counts_between_half_and_all_of_a_minute(user_id):
    assert FRESH_SECONDS / 2 <= fresh_seconds(user_id) <= FRESH_SECONDS


def test_states_read_together_are_read_again_spread_over_half_a_minute():
    seconds = Counter(int(fresh_seconds(f"user-{number}")) for number in range(3000))

    assert set(seconds) == set(range(30, 60))
    assert max(seconds.values()) <= 2 * 3000 / 30


@pytest.mark.parametrize(("age_seconds", "found"), [(PEERS_FRESH_SECONDS - 5, []), (PEERS_FRESH_SECONDS + 1, ["v"])])
async def test_a_user_without_similar_ones_is_looked_up_again_after_ten_minutes(
    stores, log, redis_url, age_seconds, found
):
    log.did("u", "p", 0)
    await log.write()
    assert (await load_user_state(stores, "u")).state.peers == ()
    log.did("v", "p", 1)
    await log.write()
    redis = sync_redis.Redis.from_url(redis_url)
    entry = CachedPeers.of(redis.get(keys_of(stores.cache, "u").peers))
    redis.set(keys_of(stores.cache, "u").peers, replace(entry, read_at=time.time() - age_seconds).to_bytes())

    assert [peer.user_id for peer in (await load_user_state(stores, "u")).state.peers] == found


async def test_versions_owed_to_many_are_written_some_at_a_time_and_the_asked_one_first(stores, log, redis_url):
    naming_key = own_key(stores.settings.home, KEY_FILE)
    impatient = replace(stores, cache=Cache(redis_url, timeout_seconds=0.1, naming_key=naming_key))
    await load_user_state(stores, "u")
    log.shown("u", "p", 0)
    await log.write()

    redis = sync_redis.Redis.from_url(redis_url)
    redis.client_pause(300)
    await forget_users(impatient.cache, [*(f"other-{number}" for number in range(5 * PAID_AT_ONCE)), "u"])
    await asyncio.sleep(PAUSE_AFTER_FAILURE_SECONDS + 0.1)
    redis.flushall()  # what came late has been written
    user = await load_user_state(impatient, "u")

    assert user.state.seen == {"p"}
    assert PAID_AT_ONCE <= redis.dbsize() <= 2 * PAID_AT_ONCE + 5  # who is loaded is looked up twice


@pytest.mark.parametrize(("age_seconds", "lacking"), [(0, ("peers",)), (INCOMPLETE_SECONDS + 1, ())])
async def test_peers_that_were_not_found_in_time_are_looked_for_again_soon(stores, log, age_seconds, lacking):
    log.shown("u", "p", 0)
    await log.write()
    await load_user_state(stores, "u")
    async with stores.cache.use() as redis:
        found_in_part = CachedPeers(time.time() - age_seconds, None, (), is_complete=False)
        await redis.set(keys_of(stores.cache, "u").peers, found_in_part.to_bytes())

    assert (await load_user_state(stores, "u")).degraded == lacking


async def test_without_redis_the_state_comes_from_the_database_and_the_answer_says_so(stores, log):
    log.shown("u", "p", 0)
    await log.write()

    user = await load_user_state(without_redis(stores), "u")

    assert user.state.seen == {"p"}
    assert user.degraded == ("cache",)


async def test_without_the_database_an_outdated_state_serves_and_the_answer_says_so(stores, log):
    log.shown("u", "p", 0)
    await log.write()
    await load_user_state(stores, "u")
    await forget_users(stores.cache, ["u"])

    user = await load_user_state(without_postgres(stores), "u")

    assert user.state.seen == {"p"}
    assert user.degraded == ("history",)


async def test_without_either_store_the_state_is_empty_and_the_answer_says_so(stores):
    user = await load_user_state(without_redis(without_postgres(stores)), "u")

    assert user.state.shown == ()
    assert user.degraded == ("cache", "history")


async def test_the_version_of_the_catalogue_comes_along(stores, redis_url):
    sync_redis.Redis.from_url(redis_url).set("posts:version", 7)

    assert (await load_user_state(stores, "u")).posts_version == 7


async def test_a_first_like_brings_peers_although_none_were_cached(stores, log):
    log.did("v", "p", 0)
    await log.write()
    assert (await load_user_state(stores, "u")).state.peers == ()

    log.did("u", "p", 1)
    await log.write()
    await forget_users(stores.cache, ["u"])
    peers = (await load_user_state(stores, "u")).state.peers

    assert [(peer.user_id, peer.overlap) for peer in peers] == [("v", 1.0)]


async def test_changed_attributes_bring_other_peers(stores, log):
    log.did("v", "p", 0)
    await log.write()
    await load_user_state(stores, "u")

    await log.traits(u={"gender": "F"}, v={"gender": "F"})
    await forget_peers(stores.cache, ["u"])
    peers = (await load_user_state(stores, "u")).state.peers

    assert [(peer.user_id, peer.kind) for peer in peers] == [("v", ReferenceKind.SIMILAR_ATTRIBUTES)]


async def test_erasing_leaves_no_entry_that_names_the_user(stores, log, redis_url):
    for user_id in ("u", "erased-one"):
        log.did(user_id, "p", 0)
    await log.write()
    for user_id in ("u", "erased-one"):
        await load_user_state(stores, user_id)

    erased = await erase_cached_user(stores.cache, "erased-one")

    client = sync_redis.Redis.from_url(redis_url)
    left = [key + (client.get(key) or b"") for key in client.keys("*")]
    assert erased == 4
    assert not [entry for entry in left if b"erased-one" in entry]


@pytest.mark.parametrize("erased", [True, False])
async def test_a_load_that_read_before_an_erasure_does_not_write_the_erased_among_the_peers_of_another(
    stores, redis_url, erased
):
    read = await read_cached_user(stores.cache, "u")
    loaded = CachedPeers(time.time(), peers=(Peer("erased-one", ReferenceKind.SIMILAR_USER, 1.0, ()),))

    if erased:
        await erase_cached_user(stores.cache, "erased-one")
    await write_cached_user(stores.cache, read, log=None, peers=loaded)

    entry = sync_redis.Redis.from_url(redis_url).get(keys_of(stores.cache, "u").peers)
    assert (entry is None) == erased


async def test_no_key_of_the_cache_names_a_user(stores, log, redis_url):
    log.shown("u-by-name", "p", 0)
    await log.write()
    await load_user_state(stores, "u-by-name")
    await forget_users(stores.cache, ["u-by-name", "unknown-by-name"])

    keys = sync_redis.Redis.from_url(redis_url).keys("*")

    assert len(keys) == 4
    assert not [key for key in keys if b"by-name" in key]


async def test_a_frozen_database_costs_a_moment_not_the_answer(stores, log):
    log.shown("u", "p", 0)
    await log.write()
    async with stores.database.connect() as connection:
        backend = (await connection.exec_driver_sql("SELECT pg_backend_pid()")).scalar_one()
        frozen = int(backend)
    os.kill(frozen, signal.SIGSTOP)

    try:
        async with asyncio.timeout(2):
            first = await load_user_state(stores, "u")
        async with asyncio.timeout(0.2):
            second = await load_user_state(stores, "u")
    finally:
        os.kill(frozen, signal.SIGCONT)

    assert "history" in first.degraded
    assert "history" in second.degraded
