"""Frozen features -> the frozen encoder as a recommender, and ridge from content to collaborative factors."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from app.evaluation.content import Axes, FrozenFeatures, axes_of
from app.evaluation.measure import Scores
from app.evaluation.rivals.neighbours import recency_weights, together
from app.evaluation.split import Case, Rows, Split

Floats = NDArray[np.float32]


def warm_rows(split: Split) -> Rows:
    """Posts that are not cold, (warm,)."""
    return np.setdiff1d(np.arange(len(split.visible.posts)), split.cold)


@lru_cache(maxsize=2)  # fitted once for all settings on a split and on its validation cut
def _axes(features: FrozenFeatures, split: Split) -> tuple[Axes, Axes]:
    """Of pictures and of titles."""
    rows = warm_rows(split)
    return axes_of(features.picture, rows), axes_of(features.title, rows)


def joint_vectors(features: FrozenFeatures, split: Split, *, width: int, picture_share: float) -> Floats:
    """Whitened pictures and titles side by side, of unit length, (posts, 2 x width)."""
    of_pictures, of_titles = _axes(features, split)
    picture = of_pictures.whitened(features.picture, width=width) * np.float32(picture_share**0.5)
    title = of_titles.whitened(features.title, width=width) * np.float32((1 - picture_share) ** 0.5)
    joint = np.concatenate([picture, title], axis=1)
    found: Floats = joint / np.maximum(np.linalg.norm(joint, axis=1, keepdims=True), 1e-9)
    return found


def by_frozen(
    features: FrozenFeatures,
    split: Split,
    *,
    width: int,
    picture_share: float,
    sharpness: float | None,
    half_life: float | None,
) -> Scores:
    """Likeness to what the case acted on: to the mean of it, or with a sharpness to the nearest of it."""
    vectors = joint_vectors(features, split, width=width, picture_share=picture_share)

    def scores(case: Case) -> Floats:
        weights = recency_weights(len(case.acted), half_life)
        if sharpness is None:
            found: Floats = vectors @ (weights @ vectors[case.acted])
            return found
        likeness = sharpness * (vectors @ vectors[case.acted].T)
        sharp: Floats = np.exp(likeness - sharpness) @ weights
        return sharp

    return scores


@lru_cache(maxsize=2)
def _collaborative(split: Split) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Factors of the acts, largest first, (posts, factors), and how many accounts acted on each post, (posts,)."""
    gram, kept = together(split.visible)
    acted = np.diag(gram).astype(np.float64)
    size = np.sqrt(np.maximum(acted, 1))
    values, directions = np.linalg.eigh(gram / np.outer(size, size))
    posts = len(split.visible.posts)
    known = np.zeros((posts, len(kept)), np.float64)
    known[kept] = (directions * np.sqrt(np.maximum(values, 0)))[:, ::-1]
    counts: NDArray[np.float64] = np.bincount(kept, acted, minlength=posts).astype(np.float64)
    return known, counts


def by_ridge(
    features: FrozenFeatures,
    split: Split,
    *,
    factors: int,
    regularisation: float,
    half_life: float | None,
    width: int = 256,
) -> Scores:
    """Factors of the acts (truncated SVD of the posts' cosine), told from content alone by ridge regression.

    The case's taste is the mean of the true factors of what he acted on.
    """
    known, acted = _collaborative(split)
    known = known[:, :factors]
    content = joint_vectors(features, split, width=width, picture_share=0.5).astype(np.float64)
    content = np.concatenate([content, np.ones((len(content), 1))], axis=1)
    rows = np.flatnonzero(acted > 0)
    weighted = content[rows] * acted[rows, None]  # what many acted on is known better
    square = weighted.T @ content[rows] + regularisation * np.eye(content.shape[1])
    told = content @ np.linalg.solve(square, weighted.T @ known[rows])

    def scores(case: Case) -> NDArray[np.float64]:
        taste = recency_weights(len(case.acted), half_life) @ known[case.acted]
        found: NDArray[np.float64] = told @ taste
        return found

    return scores
