"""The product is measured in stores of its own, and learns nothing there from after the cut."""

import json

import pytest
from pydantic import SecretStr

from app.errors import Unavailable
from app.evaluation.asked import Asked
from app.evaluation.pictures import draw_pictures
from app.evaluation.product import whole_state
from app.evaluation.ranking_rows import rank_protocol
from app.evaluation.report import ranking_figures, tables
from app.evaluation.world import scratch_home, world_of
from app.plan import load_plan
from app.storage.catalogue import stream_catalogue
from app.storage.stores import open_stores
from tests.evaluation.small_log import small_log
from tests.evaluation.test_split import planted

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
ASKED = Asked(seeds=1, rows=("tuwen", "EASE + recency", "popularity"))


async def figures(name, log, settings, small_plan, asked=ASKED):
    plan, sizes = load_plan(small_plan)
    settings = settings.model_copy(update={"plan": small_plan, "threads": 1})
    rows = await rank_protocol(name, log, settings, plan, sizes, asked=asked, tell=lambda step: None)
    found = ranking_figures(rows)
    for row in found.values():
        del row["seconds"]
    return found


async def test_no_figure_changes_when_the_answers_are_planted_after_the_cut(settings, small_plan):
    with_plants, without = planted()

    there = await figures("warm", with_plants, settings, small_plan)
    here = await figures("warm", without, settings, small_plan)

    assert here["tuwen: recommend path"]["warm"]["cases"][0] > 0
    assert json.dumps(there) == json.dumps(here)


async def test_what_has_expired_since_is_there_to_be_found(settings):
    log = small_log(users=1)
    assert all(post.expires_at is not None for post in log.posts)

    async with world_of(log, settings) as stores:
        candidates = [post async for page in stream_catalogue(stores.database, with_deleted=False) for post in page]

    assert {post.post_id for post in candidates} == {post.post_id for post in log.posts}
    assert all(post.expires_at is None for post in candidates)


async def test_what_a_killed_evaluation_left_is_removed_by_the_next_but_nothing_of_one_under_way(settings):
    left, tokens = settings.home / "evaluation-left", settings.home / "tokens"
    left.mkdir(parents=True)

    with scratch_home(settings, tokens) as first, scratch_home(settings, tokens) as second:
        assert not left.exists()
        assert first.exists()
        assert second.exists()
    assert not list(settings.home.glob("evaluation-*"))


async def test_nobody_is_measured_by_half_of_what_is_known_of_him(settings):
    out_of_reach = settings.model_copy(update={"redis_url": SecretStr("redis://127.0.0.1:1/0")})

    async with open_stores(out_of_reach) as stores:
        with pytest.raises(Unavailable, match="could not be read whole"):
            await whole_state(stores, "user-1")


async def test_cold_posts_are_ranked_alone_and_among_all_and_drawn(settings, small_plan, tmp_path):
    asked = Asked(seeds=1, rows=("start", "random", "frozen"))

    found = await figures("cold", small_log(), settings, small_plan, asked)
    told = {"protocols": {"cold": found}}

    assert {"cold", "full", "cold in full"} <= found["start"].keys()
    assert [line[0] for line in next(tables(told)).lines] == list(found)
    assert [file.name for file in draw_pictures(told, tmp_path)] == ["cold.png"]
