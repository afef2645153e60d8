"""References and passing posts -> the posts that match, each with the reference it owes that to (step 408)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.candidates.view import CandidateView
from app.domain import BEHAVIOUR_KINDS, Reference, ReferenceKind

KIND_NUMBER = {kind: number for number, kind in enumerate(BEHAVIOUR_KINDS)}
OF_THE_USER = (ReferenceKind.OWN, ReferenceKind.SESSION)  # counted together: both are in the order of time


@dataclass(frozen=True)
class Matched:
    """Posts in some order, best first, all of one length."""

    rows: NDArray[np.int64]  # (matches,)
    scores: NDArray[np.float32]  # (matches,) what ordered them
    reference: NDArray[np.int64]  # (matches,) the reference that counts most
    similarity: NDArray[np.float32]  # (matches,) cosine to that reference

    def take(self, order: NDArray[np.int64]) -> Matched:
        """These posts in that order, (taken,)."""
        return Matched(self.rows[order], self.scores[order], self.reference[order], self.similarity[order])


def match_posts(
    view: CandidateView, references: Sequence[Reference], passing: NDArray[np.bool_], *, count: int
) -> Matched:
    """The `count` posts of passing (posts,) that match best; none without references."""
    rows = np.asarray([view.row_of[reference.post_id] for reference in references], np.int64)
    matches = view.match(view.vectors[rows], log_weights(view, references), passing, count=count)
    return Matched(matches.rows, matches.scores, matches.best_reference, matches.similarity)


def log_weights(view: CandidateView, references: Sequence[Reference]) -> NDArray[np.float32]:
    """Influence of each reference (references,): what was learnt of behaviours and order, times its own weight."""
    happened = np.zeros((len(references), len(BEHAVIOUR_KINDS)), np.float32)
    rank = np.zeros(len(references), np.int64)
    ranks: dict[ReferenceKind, int] = {}
    for place, reference in enumerate(references):
        for kind in reference.behaviours | {reference.behaviour}:
            happened[place, KIND_NUMBER[kind]] = 1
        whose = ReferenceKind.OWN if reference.kind in OF_THE_USER else reference.kind
        rank[place] = ranks.get(whose, 0)
        ranks[whose] = int(rank[place]) + 1
    weights = np.asarray([reference.weight for reference in references], np.float32)
    return view.log_weights(happened, rank) + np.log(weights)
