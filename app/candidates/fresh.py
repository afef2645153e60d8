"""Changes since a generation -> the overlay that makes them visible at once, without touching the generation."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.candidates.columns import PostColumns
from app.candidates.generation import Generation
from app.candidates.view import CandidateView
from app.domain import Post
from app.domain import Sequence as HistorySequence
from app.samples.history import HistoryLimits
from app.samples.tokens import Content


@dataclass(frozen=True)
class FreshPost:
    """A post that came or changed after the generation was made, with its vector of that generation's network."""

    post: Post
    vector: NDArray[np.float32]  # (width,)
    quality: float


class Overlay:
    """What has changed since one generation; gives the view of it. Used by one task at a time."""

    def __init__(self, generation: Generation) -> None:
        self.generation = generation
        self._base_rows = {post_id: row for row, post_id in enumerate(generation.columns.post_ids)}
        self._fresh: dict[str, FreshPost] = {}
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

    def view(self, now: datetime) -> CandidateView:
        """The view as of now: expired posts are no candidates either."""
        base, fresh = self.generation, list(self._fresh.values())
        columns = base.columns.followed_by(PostColumns.of([one.post for one in fresh]))
        first = len(base.columns)
        rows = {one.post.post_id: first + place for place, one in enumerate(fresh)}
        return CandidateView(
            generation=base.manifest.generation,
            columns=columns,
            vectors=_stacked(base.vectors, [one.vector for one in fresh]),
            quality=np.concatenate([base.quality, np.asarray([one.quality for one in fresh], np.float32)]),
            alive=self._alive(rows, columns, now),
            row_of=ChainMap(rows, self._base_rows),
            popular=base.popular,
            network=base.network,
            history_limits=history_limits(base.plan),
            index=base.index,
            indexed=first,
        )

    def _alive(self, fresh_rows: Mapping[str, int], columns: PostColumns, now: datetime) -> NDArray[np.bool_]:
        """Which rows may be recommended, (posts,)."""
        alive = np.ones(len(columns), bool)
        alive[: len(self.generation.hidden)] = ~self.generation.hidden
        superseded = [self._base_rows[one] for one in fresh_rows if one in self._base_rows]
        alive[superseded] = False
        for post_id in self._gone:
            row = fresh_rows.get(post_id, self._base_rows.get(post_id))
            if row is not None:
                alive[row] = False
        alive &= columns.expires_at > now.timestamp()
        return alive


def _stacked(vectors: NDArray[np.float32], more: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
    """(posts, width) and further rows (width,) -> one array."""
    return np.concatenate([vectors, np.stack(more)]) if more else vectors


def history_limits(plan: Mapping[str, Any]) -> HistoryLimits:
    """The limits that the generation's network was trained with."""
    values = plan["history"]
    return HistoryLimits(
        sequences=tuple(HistorySequence(one) for one in values["sequences"]),
        count=values["count"],
        window_seconds=values["window_seconds"],
    )
