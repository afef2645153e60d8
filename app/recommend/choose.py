"""What is known of a user and the candidates -> the posts of his page: pins, match, filter, rank, diversify, fill."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from app.candidates.view import CandidateView, FusedHistory
from app.domain import Reference
from app.recommend.diversify import diversified
from app.recommend.filters import Passing, passing_posts, rows_of
from app.recommend.influence import REJECTED_AT_MOST, influence
from app.recommend.matching import Matched, match_posts
from app.recommend.newcomers import popular_and_fresh
from app.recommend.rank import ranked
from app.recommend.request import ReasonKind, RecommendRequest
from app.recommend.room import Room
from app.references.own import with_session
from app.references.resolve import resolve_references
from app.samples.history import history_before
from app.storage.user_state import UserState
from app.tracing import span

POOL = 300  # best matches that are ranked and from which a varied page is chosen
FILLERS_LOOKED_AT = 2000  # popular and fresh posts that are tried before a page stays short


@dataclass(frozen=True)
class Exploration:
    """Which places of a page went to new posts by chance."""

    share: float  # probability of that for each place
    pool: int  # new posts of which each was as likely
    row_at: Mapping[int, int]  # place -> row of the new post that has it


@dataclass(frozen=True)
class Choice:
    """The posts of a page: the pinned ones, the matched ones, then others that fill it."""

    references: tuple[Reference, ...]
    pinned_rows: NDArray[np.int64]  # (pinned,)
    matched: Matched  # in the order of the page
    filler_rows: NDArray[np.int64]  # (fillers,)
    filler_kinds: list[ReasonKind]  # why each filler
    passing: Passing
    history: FusedHistory  # what the prediction network looks at
    room: Room
    exploration: Exploration | None = None

    @property
    def rows(self) -> NDArray[np.int64]:
        """The page, (posts,)."""
        rows = np.concatenate([self.pinned_rows, self.matched.rows, self.filler_rows])
        if self.exploration is not None:
            for place, row in self.exploration.row_at.items():
                rows[place] = row
        return rows


def choose_posts(
    view: CandidateView,
    request: RecommendRequest,
    state: UserState,
    *,
    returned: Collection[str],
    reserved: Sequence[str] = (),
    moment: datetime,
) -> Choice:
    """The page for this user at this moment: without the posts `returned` on earlier pages, and without those reserved
    by other calls a moment ago as long as there are others.
    """
    references = resolve_references(state, request.session, known=view.row_of)
    shown = with_session(state.shown, request.session, user_id=request.user_id, moment=moment)
    before = history_before(shown, moment, view.history_limits)
    passing = passing_posts(
        view, request, seen=state.seen, rejected=state.rejected, returned=returned, reserved=reserved, moment=moment
    )
    room = Room(
        view,
        author_posts_at_most=request.author_posts_at_most,
        category_posts_at_most=request.category_posts_at_most,
    )
    pinned_rows, rest = _pinned(view, passing.mask, room=room, count=request.k)
    with span("match", references=len(references)):
        pool = match_posts(view, references, rest, count=POOL)
    rejected = rows_of(view.row_of, state.rejected[:REJECTED_AT_MOST])
    with span("rank", posts=len(pool.rows), history=len(before)):
        history = view.fuse(before, moment)
        pool = ranked(
            view,
            pool,
            weights=request.behaviour_weights,
            influence=influence(view, request, pool.rows, rejected=rejected, moment=moment),
            history=history,
        )
    places = request.k - len(pinned_rows)
    matched = _on_the_page(view, request, pool, room=room, count=places)
    filler_rows, filler_kinds = _fillers(view, rest, matched, room=room, count=places - len(matched.rows))
    return Choice(references, pinned_rows, matched, filler_rows, filler_kinds, passing, history, room)


def _pinned(
    view: CandidateView, passing: NDArray[np.bool_], *, room: Room, count: int
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Rows (pinned,) of up to `count` pinned posts that may join the page, and what passes beside them, (posts,)."""
    standing = view.pinned_rows[passing[view.pinned_rows]]
    if not len(standing):
        return standing, passing
    rest = passing.copy()
    rest[standing] = False
    return np.asarray([row for row in standing[:count].tolist() if room.takes(row)], np.int64), rest


def _on_the_page(view: CandidateView, request: RecommendRequest, pool: Matched, *, room: Room, count: int) -> Matched:
    """Up to `count` of the ranked matches, in the order of the page."""
    rows = pool.rows.tolist()
    places = diversified(
        pool.scores,
        view.vectors[pool.rows],
        count=count,
        diversity=request.diversity,
        takes=lambda place: room.takes(rows[place]),
    )
    return pool.take(places)


def _fillers(
    view: CandidateView, passing: NDArray[np.bool_], matched: Matched, *, room: Room, count: int
) -> tuple[NDArray[np.int64], list[ReasonKind]]:
    """Rows (fillers,) of up to `count` popular and fresh posts that may join the page, and why each."""
    if not count:
        return np.zeros(0, np.int64), []
    rest = passing.copy()
    rest[matched.rows] = False
    taken: list[tuple[int, ReasonKind]] = []
    for looked_at in (2 * count, FILLERS_LOOKED_AT):
        rows, kinds = popular_and_fresh(view, rest, count=looked_at)
        for row, kind in zip(rows.tolist(), kinds, strict=True):
            if len(taken) < count and room.takes(row):
                taken.append((row, kind))
        if len(taken) == count:
            break
        rest[rows] = False
    return np.asarray([row for row, _ in taken], np.int64), [kind for _, kind in taken]
