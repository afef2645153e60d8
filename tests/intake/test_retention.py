from __future__ import annotations

import os
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from app.intake.events import save_exposures
from app.intake.retention import Tidied, delete_old
from app.storage.stores import Stores
from app.storage.user_state import load_user_state
from tests.intake.records import exposure, given_posts, rows

pytestmark = pytest.mark.anyio


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
    bounded = replace(stores, settings=stores.settings.model_copy(update={"retention_days": 30}))
    tidied = await delete_old(bounded)

    assert (kept_for_ever, tidied) == (Tidied(), Tidied(events=1, files=1))
    assert await rows(stores, "exposure_id FROM exposures") == [("e2",)]
    assert [one.post_id for one in (await load_user_state(stores, "u1")).state.shown] == ["p2"]
    assert [file.name for file in stores.settings.rejects.iterdir()] == ["new.rejects.jsonl"]
