from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from app.errors import Unavailable
from app.intake.event_records import CLAMPED
from app.intake.events import (
    OTHER_EXPOSURE,
    UNKNOWN_EXPOSURE,
    UNKNOWN_POST,
    save_behaviours,
    save_exposures,
)
from app.storage.cache import Cache
from app.storage.postgres import async_engine
from app.storage.stores import Stores
from app.storage.users import erase
from tests.intake.records import NOON, behaviour, exposure, given_posts, rows

pytestmark = pytest.mark.anyio

CLICK = {"kind": "click", "at": NOON}


async def test_an_exposure_is_stored_with_its_behaviours(stores: Stores):
    await given_posts(stores, "p1")

    [status] = await save_exposures(stores, [exposure(exposure_id="e1", scene="home", behaviours=[CLICK])])

    assert (status.id, status.status, status.reason) == ("e1", "accepted", None)
    assert await rows(stores, "exposure_id, user_id, post_id, shown_at, scene FROM exposures") == [
        ("e1", "u1", "p1", NOON, "home")
    ]
    assert await rows(stores, "user_id, post_id, kind, at, exposure_id FROM behaviours") == [
        ("u1", "p1", "click", NOON, "e1")
    ]


async def test_sending_again_changes_nothing(stores: Stores):
    await given_posts(stores, "p1")
    records = [exposure(behaviours=[CLICK]), exposure(seconds=1, exposure_id="e2")]

    first = await save_exposures(stores, records)
    again = await save_exposures(stores, records)

    assert [one.status for one in first] == ["accepted", "accepted"]
    assert [one.status for one in again] == ["duplicate", "duplicate"]
    assert [one.id for one in again] == [one.id for one in first]
    assert len(await rows(stores, "* FROM exposures")) == 2
    assert len(await rows(stores, "* FROM behaviours")) == 1


async def test_one_id_twice_in_a_batch_counts_once(stores: Stores):
    await given_posts(stores, "p1")

    statuses = await save_exposures(stores, [exposure(exposure_id="e1"), exposure(exposure_id="e1")])

    assert [one.status for one in statuses] == ["accepted", "duplicate"]


async def test_a_known_exposure_with_a_new_behaviour_is_accepted(stores: Stores):
    await given_posts(stores, "p1")
    await save_exposures(stores, [exposure(exposure_id="e1")])

    [status] = await save_exposures(stores, [exposure(exposure_id="e1", behaviours=[CLICK])])

    assert status.status == "accepted"
    assert len(await rows(stores, "* FROM behaviours")) == 1


async def test_an_exposure_of_an_unknown_post_is_rejected_alone(stores: Stores):
    await given_posts(stores, "p1")

    statuses = await save_exposures(stores, [exposure("u1", "p1"), exposure("u2", "nowhere", behaviours=[CLICK])])

    assert [(one.status, one.reason) for one in statuses] == [("accepted", None), ("rejected", UNKNOWN_POST)]
    assert await rows(stores, "user_id FROM users") == [("u1",)]
    assert await rows(stores, "* FROM behaviours") == []


async def test_an_exposure_id_of_someone_else_is_rejected(stores: Stores):
    await given_posts(stores, "p1", "p2")
    await save_exposures(stores, [exposure("u1", "p1", exposure_id="e1")])

    statuses = await save_exposures(
        stores,
        [exposure("u2", "p1", exposure_id="e1", behaviours=[CLICK]), exposure("u1", "p2", exposure_id="e1")],
    )

    assert [(one.status, one.reason) for one in statuses] == [("rejected", OTHER_EXPOSURE)] * 2
    assert await rows(stores, "* FROM behaviours") == []
    assert await rows(stores, "user_id FROM users") == [("u1",)]


async def test_a_behaviour_of_a_known_exposure_needs_no_user_and_no_post(stores: Stores):
    await given_posts(stores, "p1")
    await save_exposures(stores, [exposure("u1", "p1", exposure_id="e1")])

    [status] = await save_behaviours(stores, [behaviour("like", seconds=9, exposure_id="e1")])

    assert status.status == "accepted"
    assert await rows(stores, "user_id, post_id, kind, exposure_id FROM behaviours") == [("u1", "p1", "like", "e1")]


async def test_a_behaviour_may_arrive_before_its_exposure(stores: Stores):
    await given_posts(stores, "p1")

    early, lost = await save_behaviours(
        stores, [behaviour(exposure_id="e1", user_id="u1", post_id="p1"), behaviour(exposure_id="e2")]
    )
    await save_exposures(stores, [exposure("u1", "p1", exposure_id="e1", behaviours=[CLICK])])

    assert (early.status, lost.status, lost.reason) == ("accepted", "rejected", UNKNOWN_EXPOSURE)
    assert await rows(stores, "kind, exposure_id FROM behaviours") == [("click", "e1")]


async def test_a_behaviour_that_contradicts_its_exposure_is_rejected(stores: Stores):
    await given_posts(stores, "p1", "p2")
    await save_exposures(stores, [exposure("u1", "p1", exposure_id="e1")])

    statuses = await save_behaviours(
        stores, [behaviour(exposure_id="e1", user_id="u2"), behaviour(exposure_id="e1", user_id="u1", post_id="p2")]
    )

    assert [one.reason for one in statuses] == [OTHER_EXPOSURE] * 2


async def test_a_behaviour_needs_a_known_post_but_makes_its_user(stores: Stores):
    await given_posts(stores, "p1")

    good, bad = await save_behaviours(
        stores, [behaviour(user_id="new", post_id="p1"), behaviour(user_id="other", post_id="nowhere")]
    )

    assert (good.status, bad.status, bad.reason) == ("accepted", "rejected", UNKNOWN_POST)
    assert await rows(stores, "user_id FROM users") == [("new",)]


async def test_a_behaviour_without_a_time_happens_now(stores: Stores):
    await given_posts(stores, "p1")

    await save_behaviours(stores, [behaviour(user_id="u1", post_id="p1").model_copy(update={"at": None})])

    [(at,)] = await rows(stores, "at FROM behaviours")
    assert abs(datetime.now(UTC) - at) < timedelta(minutes=1)


async def test_times_in_the_future_become_the_time_of_arrival(stores: Stores):
    await given_posts(stores, "p1")
    ahead = datetime.now(UTC) - NOON + timedelta(days=2)
    record = exposure(seconds=ahead.total_seconds())

    [status] = await save_exposures(stores, [record])
    [again] = await save_exposures(stores, [record])

    [(shown_at,)] = await rows(stores, "shown_at FROM exposures")
    assert abs(datetime.now(UTC) - shown_at) < timedelta(minutes=1)
    assert (status.status, status.reason, again.status) == ("accepted", CLAMPED, "duplicate")


async def test_a_clock_a_little_ahead_is_believed(stores: Stores):
    await given_posts(stores, "p1")
    ahead = datetime.now(UTC) - NOON + timedelta(minutes=2)

    await save_exposures(stores, [exposure(seconds=ahead.total_seconds())])

    assert await rows(stores, "shown_at FROM exposures") == [(NOON + ahead,)]


async def test_writers_of_the_same_rows_in_any_order_never_lock_each_other_out(stores: Stores):
    await given_posts(stores, "p1")
    records = [
        exposure(f"u{n}", "p1", seconds=n, exposure_id=f"e{n}", behaviours=[CLICK, {"kind": "like", "at": NOON}])
        for n in range(300)
    ]

    batches = [records, records[::-1], records[150:] + records[:150], records]
    answers = await asyncio.gather(*(save_exposures(stores, batch) for batch in batches))

    assert sum(one.status == "accepted" for answer in answers for one in answer) == 300
    assert len(await rows(stores, "* FROM behaviours")) == 600
    assert len(await rows(stores, "* FROM users")) == 300


async def test_nobody_comes_back_while_being_erased(stores: Stores):
    await given_posts(stores, "p1")
    records = [exposure("u1", "p1", seconds=n) for n in range(2000)]

    await asyncio.gather(
        save_exposures(stores, records),
        *(erase(stores.database, "u1", erased=stores.erased, actor="test") for _ in range(3)),
    )

    exposures = await rows(stores, "* FROM exposures")
    assert (len(exposures), await rows(stores, "user_id FROM users")) in [(0, []), (2000, [("u1",)])]


async def test_a_dead_database_is_said_to_be_unavailable(stores: Stores):
    await given_posts(stores, "p1")
    nowhere = async_engine("postgresql://tuwen@127.0.0.1:1/tuwen", statement_timeout_seconds=1)
    dead = replace(stores, database=nowhere)

    with pytest.raises(Unavailable):
        await save_exposures(dead, [exposure()])


async def test_a_dead_cache_fails_no_write(stores: Stores):
    lonely = replace(stores, cache=Cache("redis://127.0.0.1:1/0", timeout_seconds=0.2, naming_key=b""))
    await given_posts(lonely, "p1")

    [status] = await save_exposures(lonely, [exposure()])

    assert status.status == "accepted"
    assert len(await rows(stores, "* FROM exposures")) == 1
