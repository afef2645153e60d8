"""Ranked posts -> a page of which each may join the others and is good and unlike them (maximal marginal relevance)."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]


def diversified(
    scores: Float32, vectors: Float32, *, count: int, diversity: float, takes: Callable[[int], bool]
) -> NDArray[np.int64]:
    """Places of `count` posts, in the order of the page, (count,) or fewer; `takes` says whether a place may join.

    scores (posts,) best first, vectors (posts, width) of unit length. Each next post is the best by
    (1 - diversity) * score on a scale of 0..1 - diversity * cosine to the likest post already chosen.
    """
    chosen: list[int] = []
    relevance = (1 - diversity) * _to_unit_scale(scores) if diversity else None
    likest = np.full(len(scores), -1.0, np.float32)  # cosine to the likest chosen post
    for turn in range(len(scores)):
        if len(chosen) == count:
            break
        place = turn if relevance is None else int(np.argmax(relevance - diversity * likest))
        if relevance is not None:
            relevance[place] = -np.inf
        if takes(place):
            chosen.append(place)
            if relevance is not None:
                np.maximum(likest, vectors @ vectors[place], out=likest)
    return np.asarray(chosen, np.int64)


def _to_unit_scale(scores: Float32) -> Float32:
    """Highest 1, lowest 0; all 1 when they are equal."""
    if not len(scores):
        return scores
    low, high = scores.min(), scores.max()
    return (scores - low) / (high - low) if high > low else np.ones_like(scores)
