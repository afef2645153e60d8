"""However events arrive - in any order, any batches, any number of times - the tables end up the same."""

from __future__ import annotations

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import text

from app.intake.event_records import BehaviourRecord, ExposureRecord
from app.intake.events import save_behaviours, save_exposures
from app.storage.postgres import transaction
from app.storage.stores import Stores
from tests.intake.records import NOON, behaviour, exposure, given_posts, rows

pytestmark = pytest.mark.anyio

Message = ExposureRecord | BehaviourRecord

CLICK, LIKE = ({"kind": kind, "at": NOON + timedelta(seconds=9)} for kind in ("click", "like"))
MESSAGES: list[Message] = [
    exposure("u1", "p1", exposure_id="e1"),
    exposure("u1", "p1", exposure_id="e1", behaviours=[CLICK]),  # the same showing, told again when more was known
    exposure("u1", "p1", exposure_id="e1", behaviours=[CLICK, LIKE]),
    exposure("u1", "p1", seconds=5),  # without an id
    exposure("u1", "p1", seconds=5, behaviours=[CLICK]),
    exposure("u2", "p1", seconds=5, behaviours=[LIKE]),
    exposure("u2", "p2", seconds=6, exposure_id="e2", behaviours=[{**CLICK, "behaviour_id": "b1"}]),
    behaviour("click", seconds=9, exposure_id="e1", user_id="u1", post_id="p1"),  # late, or early
    behaviour("share", seconds=20, exposure_id="e2", user_id="u2", post_id="p2"),
    behaviour("share", seconds=20, behaviour_id="b2", user_id="u3", post_id="p2"),  # of no known showing
    behaviour("comment", seconds=30, user_id="u1", post_id="p2"),
    behaviour("click", seconds=9, exposure_id="elsewhere", user_id="u4", post_id="p1"),
]
TABLES = {
    "exposures": "exposure_id, user_id, post_id, shown_at, position, scene, recommendation_id FROM exposures",
    "behaviours": "behaviour_id, user_id, post_id, kind, at, exposure_id FROM behaviours",
    "users": "user_id, attributes FROM users",
}


async def tables(stores: Stores) -> dict[str, Any]:
    return {name: await rows(stores, columns) for name, columns in TABLES.items()}


async def send(stores: Stores, messages: list[Message]) -> None:
    """One batch of each sort."""
    await save_exposures(stores, [one for one in messages if isinstance(one, ExposureRecord)])
    await save_behaviours(stores, [one for one in messages if isinstance(one, BehaviourRecord)])


async def emptied(stores: Stores) -> None:
    await given_posts(stores, "p1", "p2")
    async with transaction(stores.database) as connection:
        await connection.execute(text("TRUNCATE exposures, behaviours, users CASCADE"))


@given(st.permutations(MESSAGES), st.lists(st.sampled_from(MESSAGES), max_size=6), st.integers(1, 12))
@settings(max_examples=30, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_order_batches_and_repetition_make_no_difference(
    stores: Stores, order: list[Message], repeated: list[Message], batch_size: int
):
    await emptied(stores)
    await send(stores, MESSAGES)
    expected = await tables(stores)

    await emptied(stores)
    arriving = order + repeated
    for start in range(0, len(arriving), batch_size):
        await send(stores, arriving[start : start + batch_size])

    assert await tables(stores) == expected
    assert [len(expected[name]) for name in TABLES] == [4, 9, 4]


@given(st.lists(st.permutations(MESSAGES), min_size=2, max_size=4))
@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
async def test_senders_at_once_make_no_difference(stores: Stores, senders: list[list[Message]]):
    await emptied(stores)
    await send(stores, MESSAGES)
    expected = await tables(stores)

    await emptied(stores)
    await asyncio.gather(*(send(stores, messages) for messages in senders))

    assert await tables(stores) == expected
