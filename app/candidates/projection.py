"""Vectors of many posts -> a place on a map for each, so that people can see what the network holds to be alike."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.candidates.view import CandidateView

POSTS_AT_MOST = 2_000


@dataclass(frozen=True)
class SpaceMap:
    """Some rows and their places."""

    rows: NDArray[np.int64]  # (shown,)
    places: NDArray[np.float32]  # (shown, 2), each axis within -1..1
    kept_share: float  # of the variance of the vectors, that the two axes show
    living: int  # posts of which these are a sample


def space_map(view: CandidateView) -> SpaceMap:
    """The two principal axes of the living posts' vectors; of many posts an even sample is drawn."""
    living = np.flatnonzero(view.alive)
    rows = living[:: max(1, -(-len(living) // POSTS_AT_MOST))]
    places, kept_share = principal_places(view.vectors[rows])
    return SpaceMap(rows, places, kept_share, len(living))


def principal_places(vectors: NDArray[np.float32]) -> tuple[NDArray[np.float32], float]:
    """Vectors (posts, width) -> their first two principal components (posts, 2) within -1..1, and the share they keep.

    The sign of an axis is chosen so that the same vectors give the same map.
    """
    if len(vectors) < 3:
        return np.zeros((len(vectors), 2), np.float32), 1.0
    centred = vectors.astype(np.float64) - vectors.mean(axis=0, dtype=np.float64)
    variance, axes = np.linalg.eigh(centred.T @ centred)
    axes = axes[:, :-3:-1]
    axes = axes * np.sign(axes[np.abs(axes).argmax(axis=0), [0, 1]])
    places = centred @ axes
    reach = np.abs(places).max(axis=0)
    kept_share = float(variance[-2:].sum() / max(variance.sum(), 1e-12))
    return (places / np.where(reach > 0, reach, 1)).astype(np.float32), kept_share
