"""Lists of posts that lie together: what is found through them, beside the exact score of every post."""

import numpy as np
import pytest

from app.candidates.index import FEW_POSTS, build_lists, read_index, write_index
from app.candidates.recall import SampledRequest, calibrated
from app.candidates.score import best_first, serving_scores

POSTS, WIDTH, TAU = 24_000, 16, 10.0
WEIGHTS = -0.5 * np.log1p(np.arange(30, dtype=np.float32))
WELL, BADLY = 0.3, 3.0  # spread around the tastes


def unit(vectors: np.ndarray) -> np.ndarray:
    return (vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)).astype(np.float32)


class Catalogue:
    """Posts spread around tastes, indexed, and accounts that acted on posts of a few tastes."""

    def __init__(self, spread: float) -> None:
        dice = np.random.default_rng(5)
        tastes = unit(dice.standard_normal((60, WIDTH)))
        vectors = unit(tastes[dice.integers(60, size=POSTS)] + spread / 4 * dice.standard_normal((POSTS, WIDTH)))
        order, index = build_lists(vectors, np.zeros(POSTS, np.float32))
        self.vectors, self.quality = vectors[order], 0.1 * dice.standard_normal(POSTS).astype(np.float32)
        requests = [self.request(tastes[dice.integers(60, size=3)], dice) for _ in range(24)]
        self.index = calibrated(index, self.vectors, self.quality, requests[:12], tau=TAU)
        self.asked = requests[12:]

    def request(self, tastes: np.ndarray, dice: np.random.Generator) -> SampledRequest:
        near = [np.argsort(-(self.vectors @ taste))[:300] for taste in tastes]
        return SampledRequest(np.concatenate([dice.choice(rows, 10, replace=False) for rows in near]), WEIGHTS)

    def recall(self, passing: np.ndarray) -> float:
        """Share of the exact twenty best that are among the rows worth a score."""
        found = []
        for one in self.asked:
            references = self.vectors[one.rows]
            scores = serving_scores(references, one.log_weights, self.vectors, self.quality, tau=TAU)
            best = best_first(np.where(passing, scores, -np.inf), 20)
            near = self.index.near(references, one.log_weights, passing, tau=TAU, count=20)
            assert passing[near].all()
            found.append(np.isin(best, near).mean())
        return float(np.mean(found))


@pytest.fixture(scope="module", params=[WELL, BADLY], ids=["well clustered", "badly clustered"])
def catalogue(request) -> Catalogue:
    return Catalogue(request.param)


@pytest.mark.parametrize("share", [1.0, 0.5, 0.05, 0.005])
def test_the_best_are_found_whatever_share_of_the_posts_passes(catalogue, share):
    passing = np.random.default_rng(6).random(POSTS) < share

    assert catalogue.recall(passing) >= 0.98


def test_well_clustered_posts_need_few_scores_and_badly_clustered_ones_more():
    well, badly = Catalogue(WELL).index, Catalogue(BADLY).index

    assert well.probed < POSTS / 5
    assert badly.probed > 2 * well.probed
    assert well.recall is not None
    assert well.recall >= 0.98


def test_lists_are_ranges_of_rows_and_hold_every_post_once(catalogue):
    index = catalogue.index

    assert index.starts[0] == 0
    assert index.posts == POSTS
    assert (np.diff(index.starts) > 0).all()
    first = catalogue.vectors[: index.starts[1]]
    assert np.allclose(first.mean(axis=0), index.centres[0], atol=1e-5)


def test_few_posts_are_all_scored():
    order, index = build_lists(unit(np.random.default_rng(0).standard_normal((FEW_POSTS, 4))), np.zeros(FEW_POSTS))

    near = index.near(np.ones((1, 4), np.float32), np.zeros(1, np.float32), np.ones(FEW_POSTS, bool), tau=TAU, count=1)

    assert order.tolist() == near.tolist() == list(range(FEW_POSTS))


def test_an_index_comes_back_as_it_was_written(catalogue, tmp_path):
    write_index(catalogue.index, tmp_path)
    read = read_index(tmp_path)

    assert np.array_equal(read.centres, catalogue.index.centres)
    assert np.array_equal(read.starts, catalogue.index.starts)
    assert (read.probed, read.recall) == (catalogue.index.probed, catalogue.index.recall)
