"""One generation plus what has changed since -> what one request sees: rows to match and to rank. Immutable."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from app.candidates.columns import PostColumns
from app.candidates.index import EXACT_POSTS, Index, near_rows
from app.domain import HistoryItem
from app.samples.collate import HistoryArrays
from app.samples.history import HistoryLimits
from models.cascade import Cascade

Float32 = NDArray[np.float32]
DEPTH = 200  # nearest rows fetched for each reference before the exact score
DEPTH_FILTERED = 2000  # the same when a filter will throw many away


@dataclass(frozen=True)
class Matches:
    """Matched candidates, best first."""

    rows: NDArray[np.int64]  # (matches,)
    scores: Float32  # (matches,) serving scores
    best_reference: NDArray[np.int64]  # (matches,) the reference that contributes most
    similarity: Float32  # (matches,) cosine to that reference


@dataclass(frozen=True)
class CandidateView:
    """All that matching and ranking need of the candidates, of one generation."""

    generation: str
    columns: PostColumns
    vectors: Float32  # (posts, width) of unit length
    quality: Float32  # (posts,)
    alive: NDArray[np.bool_]  # (posts,) not hidden, deleted or superseded by a newer row
    row_of: Mapping[str, int]
    popular: Sequence[str]
    network: Cascade
    history_limits: HistoryLimits
    index: Index
    indexed: int  # the first rows, which the index knows

    def match(self, references: Float32, log_weights: Float32, passing: NDArray[np.bool_], *, count: int) -> Matches:
        """The `count` best of the passing posts by logsumexp_r(log_weight_r + tau cos(r, c)) + quality_c (step 408).

        references (references, width) of unit length, log_weights (references,), passing (posts,).
        """
        rows = self._reachable(references, np.flatnonzero(passing & self.alive), wanted=count)
        if not len(rows) or not len(references):
            return Matches(rows[:0], np.zeros(0, np.float32), rows[:0], np.zeros(0, np.float32))
        cosine = self._vectors_at(rows) @ torch.from_numpy(references).T  # (rows, references)
        part = self.tau * cosine + torch.from_numpy(log_weights)
        scores = np.asarray(torch.logsumexp(part, dim=1)) + self.quality[rows]
        order = _best_first(scores, count)
        best = part[torch.from_numpy(order)].argmax(dim=1)
        similarity = cosine[torch.from_numpy(order), best]
        return Matches(rows[order], scores[order], np.asarray(best), np.asarray(similarity))

    def _vectors_at(self, rows: NDArray[np.int64]) -> torch.Tensor:
        """Vectors (rows, width), without a copy when these are all."""
        vectors = torch.from_numpy(self.vectors)
        return vectors if len(rows) == len(vectors) else vectors[torch.from_numpy(rows)]

    def _reachable(self, references: Float32, rows: NDArray[np.int64], *, wanted: int) -> NDArray[np.int64]:
        """The rows worth an exact score: all of them when few, else those that the index finds near a reference."""
        if len(rows) <= EXACT_POSTS:
            return rows
        queries = np.concatenate([np.float32(self.tau) * references, np.ones((len(references), 1), np.float32)], axis=1)
        depth = DEPTH if 2 * len(rows) > len(self.vectors) else DEPTH_FILTERED
        near = near_rows(self.index, queries, depth=max(depth, wanted))
        fresh = np.arange(self.indexed, len(self.vectors))
        found = np.intersect1d(np.concatenate([near, fresh]), rows, assume_unique=True)
        return found if len(found) >= wanted else rows

    def log_weights(self, happened: Float32, rank: NDArray[np.int64]) -> Float32:
        """Learnt influence of references: happened (references, kinds) 0/1, rank (references,) 0 = latest."""
        with torch.inference_mode():
            weights = self.network.matching.log_weights(torch.from_numpy(happened), torch.from_numpy(rank))
        return np.asarray(weights.numpy())

    def predict(self, history: Sequence[HistoryItem], moment: datetime, rows: NDArray[np.int64]) -> Float32:
        """Probabilities (rows, kinds), in BEHAVIOUR_KINDS order, that this history's account acts on the posts."""
        arrays = HistoryArrays(1, len(history))
        arrays.fill(0, history, moment, rows=self.row_of)
        semantic = self.vectors[arrays.post[:, : int(arrays.mask.sum())]]
        with torch.inference_mode():
            ranked = self.network.rank(
                torch.from_numpy(self.vectors[rows]),
                torch.from_numpy(self.quality[rows]),
                torch.from_numpy(semantic),
                arrays.tensors(),
            )
        return np.asarray(ranked.numpy())

    @cached_property
    def tau(self) -> float:
        """Sharpness of the match."""
        return self.network.matching.tau.item()

    @cached_property
    def popular_rows(self) -> NDArray[np.int64]:
        """Living rows, most popular first, (popular,)."""
        rows = np.asarray([self.row_of[one] for one in self.popular if one in self.row_of], np.int64)
        return rows[self.alive[rows]]

    @cached_property
    def fresh_rows(self) -> NDArray[np.int64]:
        """Living rows, latest published first, (posts,); those without a publishing time last."""
        published = np.where(np.isnan(self.columns.published_at), -np.inf, self.columns.published_at)
        rows = np.argsort(-published, kind="stable")
        return rows[self.alive[rows]]


def _best_first(scores: Float32, count: int) -> NDArray[np.int64]:
    """Places of the `count` highest scores, highest first; the earlier place wins a tie."""
    if len(scores) > 4 * count:
        top = np.argpartition(-scores, count)[:count]
        top.sort()
        return top[np.argsort(-scores[top], kind="stable")]
    return np.argsort(-scores, kind="stable")[:count]
