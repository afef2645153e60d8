"""Matched posts -> what their age, popularity and distance, and posts the user wants no more of, do to their odds.

All in log-odds, so that they add up with the match and multiply with the worth of probabilities.
"""

from __future__ import annotations

from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from app.candidates.view import CandidateView
from app.recommend.filters import distance_km
from app.recommend.request import Near, Place, RecommendRequest

Float32 = NDArray[np.float32]
HALVINGS_AT_MOST = 10  # an old or a distant post is never out altogether; one of unknown age or place counts like that
DAY_SECONDS = 86400
REJECTED_AT_MOST = 50  # latest rejected posts whose likes are damped; the posts themselves never come back
ALIKE_COSINE = 0.5  # from this likeness to a rejected post on, odds fall
REJECTED_LOG_ODDS = -4.0  # at a likeness of 1


def influence(
    view: CandidateView,
    request: RecommendRequest,
    rows: NDArray[np.int64],
    *,
    rejected: NDArray[np.int64],
    moment: datetime,
) -> Float32 | None:
    """Change of the log-odds of the posts in rows (posts,); None where the request asks for none.

    rejected (rejected,) are the rows of posts in which the user is not interested.
    """
    parts: list[NDArray[np.floating]] = []
    if request.recency_half_life_days is not None:
        age_days = (moment.timestamp() - view.columns.published_at[rows]) / DAY_SECONDS
        parts.append(_halving(age_days / request.recency_half_life_days))
    place = request.place or request.filter.near
    if request.distance_half_km is not None and place is not None:
        parts.append(_halving(_distance_km(view, rows, place) / request.distance_half_km))
    if request.popularity_influence:
        parts.append(request.popularity_influence * popularity(view, rows))
    if len(rejected):
        parts.append(_aversion(view.vectors[rows], view.vectors[rejected]))
    return np.sum(parts, axis=0).astype(np.float32) if parts else None


def _halving(halvings: NDArray[np.floating]) -> NDArray[np.floating]:
    """Log-odds (posts,) after so many halvings (posts,); NaN = unknown."""
    bounded = np.clip(np.nan_to_num(halvings, nan=HALVINGS_AT_MOST, posinf=HALVINGS_AT_MOST), 0, HALVINGS_AT_MOST)
    log_odds: NDArray[np.floating] = -np.log(2) * bounded
    return log_odds


def _distance_km(view: CandidateView, rows: NDArray[np.int64], place: Place | Near) -> NDArray[np.float64]:
    near = Near(place.latitude, place.longitude, 0.0)
    return distance_km(view.columns.latitude[rows], view.columns.longitude[rows], near=near)


def popularity(view: CandidateView, rows: NDArray[np.int64]) -> Float32:
    """From 1 for the most popular post down to 0 for one that is not in the list of popular ones; (posts,)."""
    known: Float32 = np.zeros(len(rows), np.float32)
    _, at, place = np.intersect1d(rows, view.popular_rows, assume_unique=True, return_indices=True)
    known[at] = 1 - place / len(view.popular_rows)
    return known


def _aversion(vectors: Float32, rejected: Float32) -> Float32:
    """Log-odds (posts,) by the cosine of vectors (posts, width) to the likest of rejected (rejected, width)."""
    likest = (vectors @ rejected.T).max(axis=1)
    log_odds: Float32 = REJECTED_LOG_ODDS * np.clip((likest - ALIKE_COSINE) / (1 - ALIKE_COSINE), 0, 1)
    return log_odds
