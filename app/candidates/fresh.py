"""Changes since a generation -> the overlay that makes them visible at once, without touching the generation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.candidates.columns import PostColumns, latest_first
from app.candidates.generation import Generation
from app.candidates.post_rows import PostRows
from app.candidates.vectors import Vectors
from app.candidates.view import CandidateView
from app.domain import Post
from app.domain import Sequence as HistorySequence
from app.samples.history import HistoryLimits
from app.samples.tokens import Content


@dataclass(frozen=True, eq=False)
class FreshPost:
    """A post that came or changed after the generation was made, with its vector of that generation's network."""

    post: Post
    vector: NDArray[np.float32]  # (width,)
    quality: float


class Overlay:
    """What has changed since one generation; gives the view of it. Used by one task at a time."""

    def __init__(self, generation: Generation) -> None:
        self.generation = generation
        self._base_rows = generation.row_of
        self._fresh: dict[str, FreshPost] = {}
        self._laid: _Layer | None = None
        self._gone: set[str] = set()  # hidden, deleted, or waiting to be encoded anew

    def known_vector(self, content: Content, post_id: str) -> tuple[NDArray[np.float32], float] | None:
        """Vector and quality that this very content already has under this id."""
        fresh = self._fresh.get(post_id)
        if fresh is not None and Content.of(fresh.post) == content:
            return fresh.vector, fresh.quality
        row = self._base_rows.get(post_id)
        if row is None:
            return None
        columns = self.generation.columns
        if Content(columns.titles[row], columns.picture_hashes[row]) != content:
            return None
        return self.generation.vectors[row], float(self.generation.quality[row])

    def put(self, fresh: FreshPost) -> None:
        """Show a new or changed post; one that is as the generation has it is shown from there."""
        post_id = fresh.post.post_id
        self._gone.discard(post_id)
        if self._is_as_generated(fresh.post):
            self._fresh.pop(post_id, None)
        else:
            self._fresh[post_id] = fresh

    def _is_as_generated(self, post: Post) -> bool:
        row = self._base_rows.get(post.post_id)
        if row is None or self.generation.hidden[row]:
            return False
        return self.generation.columns.row(row) == PostColumns.of([post]).row(0)

    def drop(self, post_id: str) -> None:
        """Show a post no longer; its vector still serves as a reference."""
        self._gone.add(post_id)

    def view(self, now: datetime, pinned: Sequence[str] = ()) -> CandidateView:
        """The view as of now: expired posts are no candidates either. Those pinned come first."""
        base, fresh = self.generation, self._layer()
        return CandidateView(
            generation=base.manifest.generation,
            columns=fresh.columns,
            vectors=fresh.vectors,
            quality=fresh.quality,
            alive=self._alive(fresh, now),
            row_of=fresh.row_of,
            latest_first=fresh.latest_first,
            popular=base.popular,
            network=base.network,
            history_limits=history_limits(base.plan),
            index=base.index,
            pinned=pinned,
        )

    def _layer(self) -> _Layer:
        """The fresh posts over the generation; the last layer again as long as no post came or changed."""
        fresh = tuple(self._fresh.values())
        if self._laid is None or self._laid.fresh != fresh:
            self._laid = _laid_over(self.generation, fresh)
        return self._laid

    def _alive(self, layer: _Layer, now: datetime) -> NDArray[np.bool_]:
        """Which rows may be recommended, (posts,)."""
        alive = layer.columns.expires_at > now.timestamp()
        first = len(self.generation.hidden)
        alive[:first] &= ~self.generation.hidden
        alive[self._base_rows.known([one.post.post_id for one in layer.fresh])] = False
        alive[layer.row_of.known(self._gone)] = False
        return alive


@dataclass(frozen=True)
class _Layer:
    """A generation with fresh posts behind it."""

    fresh: tuple[FreshPost, ...]
    columns: PostColumns
    vectors: Vectors
    quality: NDArray[np.float32]  # (posts,)
    row_of: PostRows
    latest_first: NDArray[np.integer]  # (posts,)


def _laid_over(base: Generation, fresh: tuple[FreshPost, ...]) -> _Layer:
    if not fresh:
        return _Layer(fresh, base.columns, Vectors.of(base.vectors), base.quality, base.row_of, base.latest_first)
    more = PostColumns.of([one.post for one in fresh])
    columns = base.columns.followed_by(more)
    first = len(base.columns)
    return _Layer(
        fresh,
        columns,
        Vectors(base.vectors, np.stack([one.vector for one in fresh])),
        np.concatenate([base.quality, np.asarray([one.quality for one in fresh], np.float32)]),
        base.row_of.with_newer({one.post.post_id: first + place for place, one in enumerate(fresh)}),
        _merged(base.latest_first, columns.published_at, newer=latest_first(more.published_at) + first),
    )


def _merged(
    rows: NDArray[np.integer], published_at: NDArray[np.float64], *, newer: NDArray[np.int64]
) -> NDArray[np.integer]:
    """Rows (posts,) and newer rows (newer,), each latest first, in one such order; published_at (posts and newer,)."""
    age = np.where(np.isnan(published_at), np.inf, -published_at)
    return np.insert(rows, np.searchsorted(age[rows], age[newer]), newer)


def history_limits(plan: Mapping[str, Any]) -> HistoryLimits:
    """The limits that the generation's network was trained with."""
    values = plan["history"]
    return HistoryLimits(
        sequences=tuple(HistorySequence(one) for one in values["sequences"]),
        count=values["count"],
        window_seconds=values["window_seconds"],
    )
