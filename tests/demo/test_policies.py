"""The simulated feed's own pages: what they log, and that the logged chances are the true ones."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from demo.policies import PLACES, Past, draw_page, logged_past
from demo.visits import past_visits
from demo.world import World, small_world

BEGAN = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def world() -> World:
    return small_world(1, BEGAN, topics=4, people=60)


@pytest.fixture(scope="module")
def past(world: World) -> Past:
    visits = past_visits(world, seed=1, until=BEGAN + timedelta(days=14), visits_per_person=12)
    return logged_past(world, visits, seed=1, random_from=0.9)


def test_the_chances_of_the_first_place_are_those_of_the_draw() -> None:
    dice, rows, weights = np.random.default_rng(0), np.arange(20), np.linspace(-1, 1, 20)
    drawn = [draw_page(rows, weights, dice) for _ in range(4000)]
    often = np.bincount([page.rows[0] for page in drawn], minlength=20) / len(drawn)
    told = {page.rows[0]: page.propensities[0] for page in drawn}

    assert all(abs(often[row] - chance) < 0.02 for row, chance in told.items())
    assert all(len(set(page.rows)) == PLACES for page in drawn[:50])


def test_weighed_by_its_chances_the_log_tells_the_rate_of_random_pages(world: World, past: Past) -> None:
    weights, clicked, true = [], [], []
    for user_id, showings in past.shown.items():
        for one in showings:
            if one.position == 0:
                posts = world.published_rows(one.shown_at)
                weights.append(1 / len(posts) / past.propensities[one.exposure_id])
                clicked.append(bool(one.acts))
                true.append(world.click_chances(world.person_of[user_id], one.shown_at)[posts].mean())
    weighted = np.asarray(weights) * np.asarray(clicked)
    error = weighted.std() / np.sqrt(len(weighted))

    assert abs(np.mean(weighted) - np.mean(true)) < 4 * error


def test_what_the_editor_likes_stands_higher(world: World, past: Past) -> None:
    favoured = np.quantile(past.editor, 0.9)
    places: dict[bool, list[int]] = {True: [], False: []}
    for showings in past.shown.values():
        for one in showings:
            places[bool(past.editor[world.row_of[one.post_id]] > favoured)].append(one.position or 0)

    assert np.mean(places[True]) < np.mean(places[False]) - 0.5


def test_each_act_has_titles_that_call_for_it(world: World) -> None:
    moment = BEGAN + timedelta(days=3)
    angles = np.array([post.angle for post in world.posts])
    after_click = [
        chances[:, 1:] / chances[:, :1] for chances in (world.act_chances(one, moment) for one in world.people)
    ]
    by_angle = np.stack(
        [np.mean([one[angles == angle].mean(axis=0) for one in after_click], axis=0) for angle in range(6)]
    )

    assert len(set(by_angle.argmax(axis=0))) >= 3
    assert (by_angle.max(axis=0) > 1.5 * by_angle.min(axis=0))[1:].all()
