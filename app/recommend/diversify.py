"""Ranked posts -> a page of which each is good and unlike those before it (maximal marginal relevance)."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]


def diversified(scores: Float32, vectors: Float32, *, count: int, diversity: float) -> NDArray[np.int64]:
    """Places of `count` posts, in the order of the page, (count,) or fewer.

    scores (posts,) best first, vectors (posts, width) of unit length. Each next post is the best by
    (1 - diversity) * score on a scale of 0..1 - diversity * cosine to the likest post already chosen.
    """
    count = min(count, len(scores))
    if diversity == 0 or count < 2:
        return np.arange(count)
    relevance = (1 - diversity) * _to_unit_scale(scores)
    likest = np.full(len(scores), -1.0, np.float32)  # cosine to the likest chosen post
    chosen = np.zeros(count, np.int64)
    for place in range(count):
        if place:
            np.maximum(likest, vectors @ vectors[chosen[place - 1]], out=likest)
        chosen[place] = int(np.argmax(relevance - diversity * likest))
        relevance[chosen[place]] = -np.inf
    return chosen


def _to_unit_scale(scores: Float32) -> Float32:
    """Highest 1, lowest 0; all 1 when they are equal."""
    low, high = scores.min(), scores.max()
    return (scores - low) / (high - low) if high > low else np.ones_like(scores)
