from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.candidates.fresh import FreshPost, Overlay
from app.candidates.generation import GenerationFolder
from app.candidates.view import CandidateView
from app.domain import Act, BehaviourKind, HistoryItem, Post, Sequence
from tests.candidates.worlds import contents, with_vectors

NOW = datetime(2026, 1, 1, tzinfo=UTC)


def overlay(tmp_path, made=None) -> Overlay:
    folder = GenerationFolder(tmp_path)
    return Overlay(folder.load(folder.write(made or contents(), origin="start", parent=None, changes_until=NOW)))


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


def serving_score(view: CandidateView, references: np.ndarray, log_weights: np.ndarray) -> np.ndarray:
    """The formula, one candidate and one reference at a time."""
    scores = [
        np.log(
            sum(
                np.exp(weight + view.tau * float(reference @ candidate))
                for reference, weight in zip(references, log_weights, strict=True)
            )
        )
        for candidate in view.vectors.base.astype(np.float64)
    ]
    return np.asarray(scores) + view.quality


@pytest.fixture(scope="module")
def view(tmp_path_factory) -> CandidateView:
    return overlay(tmp_path_factory.mktemp("view")).view(NOW)


@settings(max_examples=50, deadline=None)
@given(st.integers(1, 8), st.integers(0, 2**32 - 1), st.integers(1, 40), st.floats(0, 1))
def test_matching_equals_the_formula_over_all_passing_posts(view, references, seed, count, share):
    random = np.random.default_rng(seed)
    looked_for, weights = (
        unit(random.standard_normal((references, 8))),
        random.standard_normal(references).astype(np.float32),
    )
    passing = random.random(30) < share

    matches = view.match(looked_for, weights, passing, count=count)

    expected = serving_score(view, looked_for, weights)
    best = [row for row in np.argsort(-expected, kind="stable") if passing[row]][:count]
    assert matches.scores == pytest.approx(expected[best], abs=1e-4)
    assert set(np.flatnonzero(passing)) >= set(matches.rows.tolist())
    contributions = weights + view.tau * (view.vectors[matches.rows] @ looked_for.T)
    assert np.allclose(contributions.max(axis=1), contributions[np.arange(len(matches.rows)), matches.best_reference])


def test_no_reference_or_no_passing_post_matches_nothing(view):
    nothing = np.zeros((0, 8), np.float32)

    assert len(view.match(nothing, np.zeros(0, np.float32), np.ones(30, bool), count=5).rows) == 0
    assert len(view.match(view.vectors.base[:2], np.zeros(2, np.float32), np.zeros(30, bool), count=5).rows) == 0


def test_a_filter_on_a_large_catalogue_still_fills_the_page(tmp_path):
    vectors = unit(np.random.default_rng(4).standard_normal((6_000, 8)))
    view = overlay(tmp_path, with_vectors(contents(posts=6_000), vectors, np.zeros(6_000, np.float32))).view(NOW)
    passing = np.arange(6_000) % 57 == 0

    matches = view.match(vectors[:3], np.zeros(3, np.float32), passing, count=100)

    assert len(matches.rows) == 100
    assert passing[matches.rows].all()


def test_a_new_post_is_a_candidate_and_a_dropped_one_is_not(tmp_path):
    changing = overlay(tmp_path)
    changing.put(FreshPost(Post("new", "new"), unit(np.ones(8)), 0.5))
    changing.drop("p3")

    view = changing.view(NOW)

    assert view.columns.post_ids[view.row_of["new"]] == "new"
    assert view.alive[view.row_of["new"]]
    assert not view.alive[view.row_of["p3"]]
    rows = view.match(view.vectors.base[:1], np.zeros(1, np.float32), np.ones(31, bool), count=31).rows
    assert set(rows.tolist()) == set(range(31)) - {3}


def test_a_changed_post_supersedes_its_old_row(tmp_path):
    changing = overlay(tmp_path)

    changing.put(FreshPost(Post("p3", "another title", city="上海"), unit(np.ones(8)), 0.0))
    view = changing.view(NOW)

    assert view.row_of["p3"] == 30
    assert view.columns.titles[30] == "another title"
    assert view.columns.city.word(30) == "上海"
    assert not view.alive[3]


def test_an_expired_post_is_no_candidate(tmp_path):
    changing = overlay(tmp_path)
    changing.put(FreshPost(Post("late", "late", expires_at=NOW - timedelta(seconds=1)), unit(np.ones(8)), 0.0))

    assert not changing.view(NOW).alive[30]


def test_hiding_and_showing_again_ends_as_it_began(tmp_path):
    changing = overlay(tmp_path)
    changing.drop("p3")
    changing.put(FreshPost(Post("p3", "title 3"), changing.generation.vectors[3], 0.0))

    assert changing.view(NOW).alive[changing.view(NOW).row_of["p3"]]


def test_predictions_are_probabilities_and_depend_on_the_history(view):
    acts = (Act(BehaviourKind.CLICK, NOW - timedelta(hours=1)),)
    history = [HistoryItem("p1", Sequence.CLICK, NOW - timedelta(hours=2), acts)]

    without, with_history = (view.predict(view.fuse(one, NOW), np.arange(30)) for one in ([], history))

    assert with_history.shape == (30, 5)
    assert ((with_history > 0) & (with_history < 1)).all()
    assert not np.allclose(without, with_history)


def test_history_posts_that_are_gone_are_left_out(view):
    history = [HistoryItem("never heard of", Sequence.CLICK, NOW - timedelta(hours=2), ())]

    with_gone, without = (view.predict(view.fuse(one, NOW), np.arange(3)) for one in (history, []))

    assert np.allclose(with_gone, without)
