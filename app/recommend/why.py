"""A user and a post -> why it is or is not recommended to him: score, place, references, and what bars it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray

from app.candidates.view import CandidateView
from app.domain import BEHAVIOUR_KINDS, BehaviourKind, Reference
from app.recommend.choose import POOL
from app.recommend.filters import Passing, passing_posts
from app.recommend.matching import log_weights, match_posts
from app.recommend.request import RecommendRequest
from app.references.resolve import resolve_references
from app.samples.history import history_before
from app.storage.user_state import UserState


class Barred(StrEnum):
    """Why a post cannot be recommended to this user now."""

    NOT_ENCODED = "not_encoded"  # new or unknown: it has no vector
    NOT_ALIVE = "not_alive"  # hidden, deleted, or waiting for its new vector
    EXPIRED = "expired"
    SEEN = "seen"
    REJECTED = "rejected"  # the user said that he is not interested
    OWN = "own"
    EXCLUDED = "excluded"  # by another rule of serving


@dataclass(frozen=True)
class WeighedReference:
    """A reference and its part in a score, or in all scores."""

    reference: Reference
    share: float  # 0..1; of the sum over all references
    similarity: float | None = None  # cosine to the post asked for


@dataclass(frozen=True)
class WhyPost:
    """What serving makes of one post for one user at one moment."""

    barred: Barred | None
    score: float | None  # None without a vector or without references
    quality: float | None  # the part of the score that is the post's own
    place: int | None  # 0 = best match of the posts that may be recommended; None beyond the pool
    passing: int  # how many posts may be recommended
    references: tuple[WeighedReference, ...]  # greatest part first
    probabilities: dict[BehaviourKind, float]
    pinned: bool = False  # it comes first for whoever may get it
    following: float | None = None  # what the order of the history adds to the score when the best matches are ranked


def weigh_references(view: CandidateView, state: UserState) -> tuple[WeighedReference, ...]:
    """The user's references, the weightiest first; shares add up to 1."""
    references = resolve_references(state, (), known=view.row_of)
    weights = _shares(log_weights(view, references)) if references else np.zeros(0)
    weighed = [WeighedReference(one, share) for one, share in zip(references, weights.tolist(), strict=True)]
    return tuple(sorted(weighed, key=lambda one: one.share, reverse=True))


def why_post(view: CandidateView, state: UserState, *, user_id: str, post_id: str, moment: datetime) -> WhyPost:
    """Why the post is where it is for a user of whom this is known, before that moment."""
    request = RecommendRequest(user_id=user_id)
    references = resolve_references(state, (), known=view.row_of)
    passing = passing_posts(view, request, seen=state.seen, rejected=state.rejected, returned=(), moment=moment)
    row = view.row_of.get(post_id)
    if row is None:
        return WhyPost(Barred.NOT_ENCODED, None, None, None, passing.left, (), {})
    weighed, score = _score(view, references, row)
    history = view.fuse(history_before(state.shown, moment, view.history_limits), moment)
    rows = np.asarray([row])
    return WhyPost(
        barred=_barred(view, state, passing, row, user_id=user_id, moment=moment),
        score=score,
        quality=float(view.quality[row]),
        place=_place(view, references, passing, row),
        passing=passing.left,
        references=weighed,
        probabilities=dict(zip(BEHAVIOUR_KINDS, view.predict(history, rows)[0].tolist(), strict=True)),
        pinned=row in view.pinned_rows,
        following=float(view.follow(history, rows)[0]),
    )


def _score(
    view: CandidateView, references: Sequence[Reference], row: int
) -> tuple[tuple[WeighedReference, ...], float | None]:
    """Each reference's part of logsumexp_r(log_weight_r + tau cos(r, c)), and the score with the quality in it."""
    if not references:
        return (), None
    rows = [view.row_of[one.post_id] for one in references]
    cosine = view.vectors[rows] @ view.vectors[row]
    parts = view.tau * cosine + log_weights(view, references)
    weighed = [
        WeighedReference(one, share, similarity)
        for one, share, similarity in zip(references, _shares(parts).tolist(), cosine.tolist(), strict=True)
    ]
    score = float(np.logaddexp.reduce(parts) + view.quality[row])
    return tuple(sorted(weighed, key=lambda one: one.share, reverse=True)), score


def _shares(logs: NDArray[np.float32]) -> NDArray[np.float64]:
    """Logarithms of weights (references,) -> shares (references,) that add up to 1."""
    weights = np.exp(logs.astype(np.float64) - float(logs.max()))
    return np.asarray(weights / weights.sum())


def _place(view: CandidateView, references: Sequence[Reference], passing: Passing, row: int) -> int | None:
    """Where the post would be among the best matches, if it could be recommended."""
    if not references:
        return None
    mask = passing.mask.copy()
    mask[row] = True
    places = np.flatnonzero(match_posts(view, references, mask, count=POOL).rows == row)
    return int(places[0]) if len(places) else None


def _barred(
    view: CandidateView, state: UserState, passing: Passing, row: int, *, user_id: str, moment: datetime
) -> Barred | None:
    columns = view.columns
    if passing.mask[row]:
        return None
    if columns.expires_at[row] <= moment.timestamp():
        return Barred.EXPIRED
    if not view.alive[row]:
        return Barred.NOT_ALIVE
    if columns.post_ids[row] in state.rejected:
        return Barred.REJECTED
    if columns.post_ids[row] in state.seen:
        return Barred.SEEN
    return Barred.OWN if columns.author.word(row) == user_id else Barred.EXCLUDED
