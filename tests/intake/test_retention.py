from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta

import pytest

from app.intake.events import save_exposures
from app.intake.retention import Tidied, delete_old
from app.storage.retention import delete_events
from app.storage.stores import Stores
from app.storage.user_state import load_user_state
from tests.intake.aged import ages_left, given_ages, limited
from tests.intake.records import exposure, given_posts, rows

pytestmark = pytest.mark.anyio
EVENTS = ("exposures", "behaviours", "rejections")


def of_events(ages: list[int]) -> dict[str, list[int]]:
    return dict.fromkeys(EVENTS, ages)


async def test_what_is_older_than_wanted_goes_and_the_rest_stays(stores: Stores):
    await given_posts(stores, "p1", "p2")
    now = datetime.now(UTC)
    for days, post_id in ((40, "p1"), (2, "p2")):
        shown_at = now - timedelta(days=days)
        await save_exposures(
            stores, [exposure("u1", post_id, exposure_id=f"e{days}").model_copy(update={"shown_at": shown_at})]
        )
    assert len((await load_user_state(stores, "u1")).state.shown) == 2
    stores.settings.rejects.mkdir(parents=True)
    for name, days in (("old", 40), ("new", 2)):
        file = stores.settings.rejects / f"{name}.rejects.jsonl"
        file.write_text("{}\n")
        os.utime(file, (0, (now - timedelta(days=days)).timestamp()))

    kept_for_ever = await delete_old(stores)
    tidied = await delete_old(limited(stores, retention_days=30))

    assert (kept_for_ever, tidied) == (Tidied(), Tidied(events=1, files=1))
    assert await rows(stores, "exposure_id FROM exposures") == [("e2",)]
    assert [one.post_id for one in (await load_user_state(stores, "u1")).state.shown] == ["p2"]
    assert [file.name for file in stores.settings.rejects.iterdir()] == ["new.rejects.jsonl"]


async def test_the_old_goes_from_every_table_and_the_young_stays(stores: Stores):
    await given_ages(stores, (400, 40, 2))

    by_default = await delete_old(stores)
    left_by_default = await ages_left(stores)
    limits = {"retention_days": 30, "dead_letters_days": 1, "audit_days": 30}
    tidied = await delete_old(limited(stores, **limits))

    assert by_default == Tidied(letters=2, audit_entries=1), "events stay for ever"
    assert left_by_default == of_events([2, 40, 400]) | {"dead_letters": [2], "audit": [2, 40]}
    assert tidied == Tidied(events=6, letters=1, audit_entries=1)
    assert await ages_left(stores) == of_events([2]) | {"dead_letters": [], "audit": [2]}


async def test_many_old_events_go_in_short_transactions(stores: Stores):
    await given_ages(stores, (45, 44, 43, 2))
    before = datetime.now(UTC) - timedelta(days=30)

    batches = [len(users) async for users in delete_events(stores.database, before=before, rows_at_once=2)]

    assert batches == [2, 1] * len(EVENTS)
    left = await ages_left(stores)
    assert {table: left[table] for table in EVENTS} == of_events([2])
