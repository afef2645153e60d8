from __future__ import annotations

from functools import partial

import pytest

from app.intake.event_records import BehaviourRecord, ExposureRecord
from app.intake.events import save_behaviours, save_exposures
from app.intake.posts import PostRecord, save_posts
from app.intake.status import save_items
from app.storage.stores import Stores
from tests.intake.records import given_posts, rows

pytestmark = pytest.mark.anyio


async def test_each_item_gets_its_own_status_in_order(stores: Stores):
    await given_posts(stores, "p1")
    items = [
        "no object",
        {"user_id": "u1", "post_id": "p1", "shown_at": 0, "exposure_id": "e1"},
        {"user_id": "u1", "post_id": "p1", "shown_at": "noon"},
        {"user_id": "u1", "post_id": "nowhere", "shown_at": 0, "exposure_id": "e2"},
        {"user_id": "u1", "post_id": "p1", "shown_at": 0, "exposure_id": "e1"},
    ]

    statuses = await save_items(items, ExposureRecord, partial(save_exposures, stores))

    assert [one.index for one in statuses] == [0, 1, 2, 3, 4]
    assert [one.id for one in statuses] == [None, "e1", None, "e2", "e1"]
    assert [one.status for one in statuses] == ["rejected", "accepted", "rejected", "rejected", "duplicate"]
    assert statuses[0].reason == "must be an object"


async def test_a_batch_of_nothing_but_bad_items_writes_nothing(stores: Stores):
    statuses = await save_items([{}, {"kind": "click"}], BehaviourRecord, partial(save_behaviours, stores))

    assert [one.status for one in statuses] == ["rejected"] * 2
    assert await rows(stores, "* FROM users") == []


async def test_an_empty_batch_is_fine(stores: Stores):
    assert await save_items([], PostRecord, partial(save_posts, stores)) == []
    assert await save_posts(stores, []) == []
    assert await save_exposures(stores, []) == []
    assert await save_behaviours(stores, []) == []
