"""Rivals find what is there to be found, and only in what is visible."""

import numpy as np
import pytest

from app.evaluation.choice import best_settings
from app.evaluation.measure import by_scores, mean_and_error, measured
from app.evaluation.rivals.neighbours import by_ease, by_item_neighbours
from app.evaluation.rivals.popularity import by_chance, by_popularity, by_recent_popularity
from app.evaluation.split import warm_split
from tests.evaluation.small_log import small_log

SPLIT = warm_split(small_log(users=24))


def recall(scores) -> float:
    return float(measured(by_scores(scores), SPLIT, SPLIT.targets).recall_20.mean())


def fitted(name):
    if name == "EASE":
        return by_ease(SPLIT.visible, regularisation=10.0, half_life=20.0)
    return by_item_neighbours(SPLIT.visible, neighbours=20, shrinkage=0.0, half_life=None)


@pytest.mark.parametrize("name", ["EASE", "item-kNN"])
def test_what_goes_together_is_found(name):
    chance = np.mean([recall(by_chance(SPLIT.visible, seed=seed)) for seed in range(5)])

    assert recall(fitted(name)) > 1.3 * chance


def test_popularity_of_late_knows_nothing_from_the_case_s_moment_on():
    scores = by_recent_popularity(SPLIT.visible, half_life_days=10.0)
    first = min(SPLIT.cases, key=lambda case: case.moment)
    earliest = min(act.at for shown in SPLIT.visible.shown.values() for one in shown for act in one.acts)
    unborn = type(first)(first.user_id, earliest, first.acted, first.acted_at, first.seen)

    assert scores(first).sum() > 0
    assert scores(unborn).sum() == 0
    assert by_popularity(SPLIT.visible)(first).sum() > scores(first).sum()


def test_settings_are_the_best_of_the_validation_cut():
    def fit(split, *, sign):
        counts = by_ease(split.visible, regularisation=10.0, half_life=None)
        return lambda case: sign * np.nan_to_num(counts(case), neginf=-1e9)

    assert best_settings(fit, SPLIT, {"sign": (-1.0, 1.0)}) == {"sign": 1.0}


def test_what_was_seen_is_not_ranked_and_errors_are_of_cases_and_seeds():
    found = measured(by_scores(lambda case: np.arange(80.0)), SPLIT, SPLIT.targets)

    assert found.recall_10.shape == (len(SPLIT.cases),)
    assert mean_and_error([np.zeros(4), np.ones(4)]) == (0.5, 0.5)
