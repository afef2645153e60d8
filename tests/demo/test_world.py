from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from app.domain import BehaviourKind
from demo.people import demo_people
from demo.topics import TOPICS
from demo.visits import past_visits
from demo.world import World, demo_world

BEGAN = datetime(2026, 3, 1, tzinfo=UTC)
WEEK_LATER = BEGAN + timedelta(days=7)


@pytest.fixture(scope="module")
def world() -> World:
    return demo_world(1, BEGAN)


def test_the_same_seed_gives_the_same_people() -> None:
    assert demo_people(1) == demo_people(1)
    assert demo_people(1) != demo_people(2)


def test_a_list_of_favourites_has_a_far_higher_true_click_rate_than_a_random_one(world: World) -> None:
    best, anything = [], []
    for person in world.people[:60]:
        chances = world.click_chances(person, WEEK_LATER)
        ids = [world.posts[row].post_id for row in np.argsort(-chances)[:10]]
        best.append(world.true_click_rate(person.user_id, ids, WEEK_LATER))
        anything.append(float(chances.mean()))

    assert np.mean(best) > 0.6
    assert np.mean(anything) < 0.15


def test_the_true_click_rate_of_an_empty_list_is_not_a_number(world: World) -> None:
    assert np.isnan(world.true_click_rate(world.people[0].user_id, [], WEEK_LATER))


def test_tastes_drift(world: World) -> None:
    kept = [
        person.topics_at(BEGAN, BEGAN) == person.topics_at(BEGAN + timedelta(days=30), BEGAN) for person in world.people
    ]

    assert np.mean(kept) < 0.2


def test_people_of_one_occupation_share_topics_more_than_others(world: World) -> None:
    def shared(occupation: str, usual: str) -> float:
        people = [one for one in world.people if one.occupation == occupation]
        return float(np.mean([usual in {TOPICS[t].key for t in one.topics_at(WEEK_LATER, BEGAN)} for one in people]))

    assert shared("engineer", "gadgets") > 2 * shared("retired", "gadgets")


def test_the_title_and_the_picture_each_change_who_clicks(world: World) -> None:
    post = world.posts[0]
    retitled = replace(post, post_id="retitled", angle=(post.angle + 1) % 6)
    repainted = replace(post, post_id="repainted", mood=(post.mood + 1) % 5)
    three = World((post, retitled, repainted), world.people, BEGAN)
    chances = np.stack([three.click_chances(person, WEEK_LATER) for person in three.people])

    assert np.abs(chances[:, 1] - chances[:, 0]).max() > 0.1
    assert np.abs(chances[:, 2] - chances[:, 0]).max() > 0.1


def test_lower_places_are_clicked_less(world: World) -> None:
    dice = random.Random(7)
    person = world.people[0]
    best = int(np.argmax(world.click_chances(person, WEEK_LATER)))
    page = [world.posts[best].post_id] * 12
    places = Counter(
        doing.place
        for _ in range(800)
        for doing in world.visit(person, page, moment=WEEK_LATER, dice=dice)
        if doing.kind is BehaviourKind.CLICK
    )

    assert places[0] > places[5] > places[11] > 0


def test_other_acts_follow_a_click_and_come_later(world: World) -> None:
    dice = random.Random(7)
    page = [post.post_id for post in world.posts[:40]]
    clicks = others = 0
    for person in world.people:
        doings = world.visit(person, page, moment=WEEK_LATER, dice=dice)
        clicked = {one.place: one.seconds_after_shown for one in doings if one.kind is BehaviourKind.CLICK}
        clicks += len(clicked)
        for one in doings:
            others += one.kind is not BehaviourKind.CLICK
            assert one.place in clicked
            assert one.seconds_after_shown >= clicked[one.place]

    assert 0 < others < clicks


def test_past_visits_are_in_order_and_end_before_now(world: World) -> None:
    until = BEGAN + timedelta(days=13, hours=9)
    visits = past_visits(world, seed=1, until=until, visits_per_person=8)

    assert visits == sorted(visits, key=lambda visit: visit.at)
    assert visits[0].at >= BEGAN
    assert visits[-1].at < until
    assert {visit.person.user_id for visit in visits} == {person.user_id for person in world.people}
    assert abs(len(visits) / len(world.people) - 8) < 0.6
