"""New posts get a small share of the places by chance, each with the probability that is logged."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from random import Random

import numpy as np
import pytest

from app.candidates.columns import latest_first
from app.recommend.choose import Choice, choose_posts
from app.recommend.explain import recommended_posts
from app.recommend.explore import explored
from app.recommend.request import RecommendRequest
from app.storage.user_state import UserState
from tests.recommend.small_view import NOW, small_view

VIEW = small_view(popular=200)
DAYS = 86400
NEW = set(range(180, 200))  # twenty posts of the last days; some of them are on a newcomer's page anyway
PUBLISHED = np.asarray([NOW.timestamp() - (2 if row in NEW else 60) * DAYS for row in range(200)])
COLUMNS = replace(VIEW.columns, published_at=PUBLISHED)
VIEW = replace(VIEW, columns=COLUMNS, latest_first=latest_first(PUBLISHED))


def page(chance: Random, *, k: int = 10, share: float = 0.05, exclude: tuple[str, ...] = ()) -> Choice:
    request = RecommendRequest("u", k=k, exploration_share=share, exclude_post_ids=exclude)
    choice = choose_posts(VIEW, request, UserState(), returned=(), moment=NOW)
    return explored(VIEW, request, choice, moment=NOW, chance=chance)


def drawn(choice: Choice) -> dict[int, int]:
    return dict(choice.exploration.row_at) if choice.exploration else {}


def test_a_new_post_takes_a_place_as_often_as_the_log_says():
    chance, pages = Random(7), 1500
    places: Counter[int] = Counter()
    posts: Counter[int] = Counter()
    for _ in range(pages):
        choice = page(chance)
        assert choice.exploration is not None
        places.update(list(drawn(choice)))
        posts.update(drawn(choice).values())

    share, pool = choice.exploration.share, choice.exploration.pool
    assert share == pytest.approx(0.05)
    assert len(posts) == pool
    assert [places[place] / pages for place in range(10)] == pytest.approx([share] * 10, abs=0.02)
    expected = pages * 10 * share / pool
    assert all(abs(count - expected) < 5 * expected**0.5 for count in posts.values())


def test_the_rest_of_the_page_stays_as_it_is_and_nothing_is_twice_on_it():
    request = RecommendRequest("u", k=20)
    plain = choose_posts(VIEW, request, UserState(), returned=(), moment=NOW).rows.tolist()

    choice = page(Random(1), k=20, share=0.1)

    rows, taken = choice.rows.tolist(), drawn(choice)
    assert len(taken) == 2
    assert len(set(rows)) == 20
    assert [row for place, row in enumerate(rows) if place not in taken] == [
        row for place, row in enumerate(plain) if place not in taken
    ]
    posts = recommended_posts(VIEW, choice)
    assert all(posts[place].reason.kind == "fresh" for place in taken)
    assert [post.score for post in posts] == sorted((post.score for post in posts), reverse=True)


def test_pinned_posts_keep_their_places():
    view = replace(VIEW, pinned=["p0003", "p0005", "p0007"])
    request = RecommendRequest("u", k=5, exploration_share=0.1)
    choice = choose_posts(view, request, UserState(), returned=(), moment=NOW)
    chance = Random(3)
    for _ in range(200):
        tried = explored(view, request, choice, moment=NOW, chance=chance)

        assert tried.rows[:3].tolist() == [3, 5, 7]
        assert tried.exploration is not None
        assert tried.exploration.share == pytest.approx(0.1)


def test_only_posts_that_may_be_recommended_are_tried():
    excluded = tuple(VIEW.columns.post_ids[row] for row in NEW if row != 190)

    for seed in range(50):
        choice = page(Random(seed), share=0.1, exclude=excluded)
        assert set(drawn(choice).values()) <= {190}


def test_without_a_share_or_without_new_posts_nothing_is_left_to_chance():
    everything_new = tuple(VIEW.columns.post_ids[row] for row in NEW)

    assert page(Random(1), share=0.0).exploration is None
    assert page(Random(1), exclude=everything_new).exploration is None
