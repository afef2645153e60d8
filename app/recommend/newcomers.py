"""Passing posts -> popular and fresh ones in turn, where nothing matches: for new users, and to fill a page."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from app.candidates.view import CandidateView
from app.recommend.request import ReasonKind

LOOKED_AT_FIRST = 1000  # rows; most posts of the lists pass as a rule


def popular_and_fresh(
    view: CandidateView, passing: NDArray[np.bool_], *, count: int
) -> tuple[NDArray[np.int64], list[ReasonKind]]:
    """Rows (found,) of up to `count` posts of passing (posts,), and why each: popular, fresh, popular, ...

    Once the popular ones are used up the rest is fresh: every passing post is among those.
    """
    if not count:
        return np.zeros(0, np.int64), []
    popular = _first(view.popular_rows, passing, count)
    fresh = _first(view.latest_first, passing, 2 * count)  # half of them may be popular too
    turns = np.concatenate([2 * np.arange(len(popular)), 2 * np.arange(len(fresh)) + 1])
    rows = np.concatenate([popular, fresh])[np.argsort(turns, kind="stable")]
    kinds = np.sort(turns) % 2
    _, first = np.unique(rows, return_index=True)
    places = np.sort(first)[:count]
    names = (ReasonKind.POPULAR, ReasonKind.FRESH)
    return rows[places], [names[kind] for kind in kinds[places].tolist()]


def _first(rows: NDArray[np.integer], passing: NDArray[np.bool_], count: int) -> NDArray[np.int64]:
    """The first `count` of the rows that pass; looks no further than it must."""
    looked_at = LOOKED_AT_FIRST
    while True:
        some = rows[:looked_at].astype(np.int64)
        found = some[passing[some]][:count]
        if len(found) == count or looked_at >= len(rows):
            return found
        looked_at *= 8
