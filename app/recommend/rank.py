"""Matched posts -> their order: by what the history leads to, or by the behaviours that the request values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from app.candidates.view import CandidateView, FusedHistory
from app.domain import BEHAVIOUR_KINDS, BehaviourKind
from app.recommend.matching import Matched


def ranked(
    view: CandidateView,
    matched: Matched,
    *,
    weights: Mapping[BehaviourKind, float],
    influence: NDArray[np.float32] | None = None,
    history: FusedHistory,
) -> Matched:
    """The posts best first: by match and history together, the score that the networks are trained to rank by.

    With weights, by the weighted probabilities of the behaviours. influence (matches,) changes the log-odds of each.
    """
    if not len(matched.rows):
        return matched
    lift = np.float32(0) if influence is None else influence
    if weights:
        worth = view.predict(history, matched.rows) @ _in_order(weights)
        scores = worth * np.exp(lift)
    else:
        scores = matched.scores + view.follow(history, matched.rows) + lift
    return replace(matched, scores=scores).take(np.argsort(-scores, kind="stable"))


def _in_order(weights: Mapping[BehaviourKind, float]) -> NDArray[np.float32]:
    """One weight per kind, (kinds,); a kind that is not named has none."""
    return np.asarray([weights.get(kind, 0.0) for kind in BEHAVIOUR_KINDS], np.float32)
