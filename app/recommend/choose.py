"""What is known of a user and the candidates -> the posts of his page: match, filter, rank, diversify, fill."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from app.candidates.view import CandidateView
from app.domain import HistoryItem, Reference
from app.recommend.diversify import diversified
from app.recommend.filters import Passing, passing_posts
from app.recommend.matching import Matched, match_posts
from app.recommend.newcomers import popular_and_fresh
from app.recommend.rank import ranked
from app.recommend.request import ReasonKind, RecommendRequest
from app.references.own import with_session
from app.references.resolve import resolve_references
from app.samples.history import history_before
from app.storage.user_state import UserState

POOL = 300  # best matches that are ranked and from which a varied page is chosen


@dataclass(frozen=True)
class Choice:
    """The posts of a page: the matched ones, then others that fill it."""

    references: tuple[Reference, ...]
    matched: Matched  # in the order of the page
    filler_rows: NDArray[np.int64]  # (fillers,)
    filler_kinds: list[ReasonKind]  # why each filler
    passing: Passing
    history: tuple[HistoryItem, ...]  # what the prediction network looks at

    @property
    def rows(self) -> NDArray[np.int64]:
        """The page, (posts,)."""
        return np.concatenate([self.matched.rows, self.filler_rows])


def choose_posts(
    view: CandidateView, request: RecommendRequest, state: UserState, *, returned: Collection[str], moment: datetime
) -> Choice:
    """The page for this user at this moment, without the posts `returned` on earlier pages."""
    references = resolve_references(state, request.session, known=view.row_of)
    shown = with_session(state.shown, request.session, user_id=request.user_id, moment=moment)
    history = history_before(shown, moment, view.history_limits)
    passing = passing_posts(view, request, seen=state.seen, returned=returned, moment=moment)
    matched = _matched(view, request, references, passing=passing.mask, history=history, moment=moment)
    rest = passing.mask.copy()
    rest[matched.rows] = False
    filler_rows, filler_kinds = popular_and_fresh(view, rest, count=request.k - len(matched.rows))
    return Choice(references, matched, filler_rows, filler_kinds, passing, history)


def _matched(
    view: CandidateView,
    request: RecommendRequest,
    references: Sequence[Reference],
    *,
    passing: NDArray[np.bool_],
    history: Sequence[HistoryItem],
    moment: datetime,
) -> Matched:
    """Up to k of the posts that match the references, in the order of the page."""
    pool = match_posts(view, references, passing, count=POOL)
    order = ranked(view, pool, weights=request.behaviour_weights, history=history, moment=moment)
    vectors = view.vectors[order.rows]
    return order.take(diversified(order.scores, vectors, count=request.k, diversity=request.diversity))
