"""One generation plus what has changed since -> what one request sees: rows to match and to rank. Immutable."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from app.candidates.columns import PostColumns
from app.candidates.index import ListIndex
from app.candidates.post_rows import PostRows
from app.candidates.score import Float32, best_first, serving_scores
from app.candidates.vectors import Vectors
from app.domain import HistoryItem
from app.samples.collate import HistoryArrays
from app.samples.history import HistoryLimits
from models.cascade import Cascade


@dataclass(frozen=True)
class Matches:
    """Matched candidates, best first."""

    rows: NDArray[np.int64]  # (matches,)
    scores: Float32  # (matches,) serving scores
    best_reference: NDArray[np.int64]  # (matches,) the reference that contributes most
    similarity: Float32  # (matches,) cosine to that reference


@dataclass(frozen=True)
class FusedHistory:
    """One account's history as the networks 102 and 103 leave it."""

    fused: torch.Tensor  # (1, history, width)
    mask: torch.Tensor  # (1, history) bool


NO_ROWS, NO_SCORES = np.zeros(0, np.int64), np.zeros(0, np.float32)
NO_MATCHES = Matches(NO_ROWS, NO_SCORES, NO_ROWS, NO_SCORES)


@dataclass(frozen=True)
class CandidateView:
    """All that matching and ranking need of the candidates, of one generation."""

    generation: str
    columns: PostColumns
    vectors: Vectors  # of unit length
    quality: Float32  # (posts,)
    alive: NDArray[np.bool_]  # (posts,) not hidden, deleted or superseded by a newer row
    row_of: PostRows
    latest_first: NDArray[np.integer]  # (posts,) rows, latest published first; those without a time last
    popular: Sequence[str]
    network: Cascade
    history_limits: HistoryLimits
    index: ListIndex  # knows the first rows, those of the generation
    pinned: Sequence[str] = ()  # posts that come first for everybody, in this order

    def match(self, references: Float32, log_weights: Float32, passing: NDArray[np.bool_], *, count: int) -> Matches:
        """The `count` best of the passing posts by logsumexp_r(log_weight_r + tau cos(r, c)) + quality_c (step 408).

        references (references, width) of unit length, log_weights (references,), passing (posts,).
        """
        if not len(references):
            return NO_MATCHES
        passing = passing & self.alive
        indexed = self.index.posts
        near = self.index.near(references, log_weights, passing[:indexed], tau=self.tau, count=count)
        rows = np.concatenate([near, indexed + np.flatnonzero(passing[indexed:])])
        if not len(rows):
            return NO_MATCHES
        scores = self._scores(references, log_weights, rows)
        order = best_first(scores, count)
        rows = rows[order]
        # By torch, whose threads are limited: numpy's own would spin beside other requests.
        cosine = (torch.from_numpy(self.vectors[rows]) @ torch.from_numpy(references).T).numpy()
        best = np.argmax(self.tau * cosine + log_weights, axis=1)
        return Matches(rows, scores[order], best, cosine[np.arange(len(rows)), best])

    def _scores(self, references: Float32, log_weights: Float32, rows: NDArray[np.int64]) -> Float32:
        """Serving scores of the rows, (rows,); where they are most of the generation, it is scored as it lies."""
        base = self.vectors.base
        if 2 * len(rows) < len(base):
            return serving_scores(references, log_weights, self.vectors[rows], self.quality[rows], tau=self.tau)
        newer = self.vectors.newer
        parts = ((base, self.quality[: len(base)]), (newer, self.quality[len(base) :]))
        scores = [serving_scores(references, log_weights, *part, tau=self.tau) for part in parts]
        return np.concatenate(scores)[rows]

    def alive_at(self, moment: datetime) -> NDArray[np.bool_]:
        """Which posts may be recommended at a moment after the view was made, a new array (posts,)."""
        alive = self.alive.copy()
        alive[self._expiring[self.columns.expires_at[self._expiring] <= moment.timestamp()]] = False
        return alive

    @cached_property
    def _expiring(self) -> NDArray[np.int64]:
        """Rows of posts that will expire, (rows,)."""
        return np.flatnonzero(np.isfinite(self.columns.expires_at))

    def log_weights(self, happened: Float32, rank: NDArray[np.int64]) -> Float32:
        """Learnt influence of references: happened (references, kinds) 0/1, rank (references,) 0 = latest."""
        with torch.inference_mode():
            weights = self.network.matching.log_weights(torch.from_numpy(happened), torch.from_numpy(rank))
        return np.asarray(weights.numpy())

    def fuse(self, history: Sequence[HistoryItem], moment: datetime) -> FusedHistory:
        """An account's history at a moment, read once for all that is asked of it."""
        arrays = HistoryArrays(1, len(history))
        arrays.fill(0, history, moment, rows=self.row_of)
        tensors = arrays.tensors()
        semantic = torch.from_numpy(self.vectors[tensors.post.numpy()])
        with torch.inference_mode():
            return FusedHistory(self.network.fuse(semantic, tensors), tensors.mask)

    def predict(self, history: FusedHistory, rows: NDArray[np.int64]) -> Float32:
        """Probabilities (rows, kinds), in BEHAVIOUR_KINDS order, that this history's account acts on the posts."""
        posts, quality = torch.from_numpy(self.vectors[rows]), torch.from_numpy(self.quality[rows])
        with torch.inference_mode():
            return np.asarray(self.network.rank(posts, quality, history.fused, history.mask).numpy())

    def follow(self, history: FusedHistory, rows: NDArray[np.int64]) -> Float32:
        """How well the posts follow on the history: what ranking adds to their serving scores, (rows,)."""
        posts = torch.from_numpy(self.vectors[rows])
        with torch.inference_mode():
            return np.asarray(self.network.follow(posts, history.fused, history.mask).numpy())

    @cached_property
    def tau(self) -> float:
        """Sharpness of the match."""
        return self.network.matching.tau.item()

    @cached_property
    def popular_rows(self) -> NDArray[np.int64]:
        """Living rows, most popular first, (popular,)."""
        return self._living(self.popular)

    @cached_property
    def pinned_rows(self) -> NDArray[np.int64]:
        """Living rows, in the order in which they come, (pinned,)."""
        return self._living(self.pinned)

    def _living(self, post_ids: Sequence[str]) -> NDArray[np.int64]:
        rows = np.asarray([self.row_of[one] for one in post_ids if one in self.row_of], np.int64)
        return rows[self.alive[rows]]
