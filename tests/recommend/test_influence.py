"""Age, popularity, distance and rejected posts -> log-odds, compared with the formulas in words."""

from __future__ import annotations

from math import log

import numpy as np
import pytest

from app.recommend.influence import HALVINGS_AT_MOST, REJECTED_LOG_ODDS, influence
from app.recommend.request import Near, Place, PostFilter, RecommendRequest
from tests.recommend.small_view import NOW, TASTES, small_view

VIEW = small_view()
ROWS = np.arange(200)
NOTHING = np.zeros(0, np.int64)


def of(request: RecommendRequest, rejected: np.ndarray = NOTHING) -> np.ndarray:
    found = influence(VIEW, request, ROWS, rejected=rejected, moment=NOW)
    assert found is not None
    return found


def test_a_request_that_says_nothing_changes_nothing():
    assert influence(VIEW, RecommendRequest("u"), ROWS, rejected=NOTHING, moment=NOW) is None


def test_a_post_counts_half_after_each_half_life():
    odds = np.exp(of(RecommendRequest("u", recency_half_life_days=50)))

    assert odds[4] == pytest.approx(0.5 ** ((100 - 4 / 24) / 50), rel=1e-5)
    assert odds[199] / odds[199 - 24] == pytest.approx(2 ** (1 / 50), rel=1e-5)


def test_a_post_counts_half_after_each_distance():
    here = Place(31.2, 121.4)
    odds = of(RecommendRequest("u", distance_half_km=20, place=here))
    by_filter = of(RecommendRequest("u", distance_half_km=20, filter=PostFilter(near=Near(31.2, 121.4, 100))))

    unknown = np.isnan(VIEW.columns.latitude)
    assert odds[unknown] == pytest.approx(-HALVINGS_AT_MOST * log(2))
    north_km = 111.195 * np.abs(VIEW.columns.latitude[~unknown] - 31.2)
    assert (odds[~unknown] <= -log(2) * north_km / 20 + 1e-3).all()
    assert np.array_equal(odds, by_filter)


def test_without_a_place_distance_changes_nothing():
    request = RecommendRequest("u", distance_half_km=20)

    assert influence(VIEW, request, ROWS, rejected=NOTHING, moment=NOW) is None


def test_the_most_popular_post_gains_all_and_one_beyond_the_list_nothing():
    odds = of(RecommendRequest("u", popularity_influence=3.0))

    assert odds[0] == pytest.approx(3.0)
    assert odds[10] == pytest.approx(1.5)
    assert not odds[20:].any()


def test_posts_like_a_rejected_one_lose_by_how_alike_they_are():
    odds = of(RecommendRequest("u"), np.asarray([3, 4]))

    assert odds[[3, 4]] == pytest.approx(REJECTED_LOG_ODDS, abs=1e-4)
    of_other_tastes = ROWS[(ROWS % TASTES != 3) & (ROWS % TASTES != 4)]
    assert not odds[of_other_tastes].any()
    assert (odds <= 0).all()


def test_the_parts_add_up():
    both = of(RecommendRequest("u", popularity_influence=3.0, recency_half_life_days=50))

    parts = of(RecommendRequest("u", popularity_influence=3.0)), of(RecommendRequest("u", recency_half_life_days=50))
    assert both == pytest.approx(parts[0] + parts[1])
