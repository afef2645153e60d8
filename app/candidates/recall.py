"""Sampled requests and an index -> how many posts it has to score so that the best ones are among them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from app.candidates.index import ListIndex, Rows
from app.candidates.score import Float32, best_first, serving_scores
from models.batch import BEHAVIOURS
from models.matching import Matching

DEPTH = 20  # of the best posts by the exact score
TARGET = 0.99  # share of them that has to be found: above what is promised, because it is a sample
PROBED_AT_LEAST = 2_000  # the pool that ranking chooses from is some hundreds
REQUESTS = 128
REFERENCES_EACH = 30
SEED = 1


@dataclass(frozen=True)
class SampledRequest:
    """The references of one account."""

    rows: Rows  # (references,)
    log_weights: Float32  # (references,)


def sampled_requests(
    matching: Matching, post_ids: Sequence[str], acted_on: Sequence[Sequence[str]]
) -> list[SampledRequest]:
    """Requests of accounts that have acted on these posts, latest first; without any, posts drawn at random.

    `post_ids` are those of all candidates, by row.
    """
    row_of = {post_id: row for row, post_id in enumerate(post_ids)}
    samples = [[row_of[one] for one in posts if one in row_of] for posts in acted_on]
    samples = [rows for rows in samples if rows]
    if not samples and len(post_ids):
        dice = np.random.default_rng(SEED)
        samples = dice.integers(len(post_ids), size=(REQUESTS, REFERENCES_EACH)).tolist()
    return [SampledRequest(np.asarray(rows, np.int64), _log_weights(matching, len(rows))) for rows in samples]


def _log_weights(matching: Matching, references: int) -> Float32:
    """What was learnt of their order, (references,)."""
    with torch.inference_mode():
        weights = matching.log_weights(torch.zeros(references, BEHAVIOURS), torch.arange(references))
    return np.asarray(weights.numpy())


def calibrated(
    index: ListIndex, vectors: Float32, quality: Float32, requests: Sequence[SampledRequest], *, tau: float
) -> ListIndex:
    """The index with the smallest number of scored posts that reaches the target; vectors and quality in its order.

    vectors (posts, width), quality (posts,). Where posts lie badly together that number is large, up to all of them.
    """
    if len(index.starts) == 2 or not requests:
        return index
    needed = np.concatenate([_posts_before(index, vectors, quality, one, tau=tau) for one in requests])
    probed = int(np.quantile(needed, TARGET, method="higher")) + 1
    probed = max(PROBED_AT_LEAST, probed)
    return replace(index, probed=probed, recall=float(np.mean(needed < probed)))


def _posts_before(index: ListIndex, vectors: Float32, quality: Float32, request: SampledRequest, *, tau: float) -> Rows:
    """For each of the best posts: how many others are scored before its list is reached, (best,)."""
    references = vectors[request.rows]
    scores = serving_scores(references, request.log_weights, vectors, quality, tau=tau)
    scores[request.rows] = -np.inf  # the account has seen them
    best = best_first(scores, DEPTH)
    order = index.ranked(references, request.log_weights, tau=tau)
    sizes = np.diff(index.starts)
    before = np.empty(len(order), np.int64)
    before[order] = np.cumsum(sizes[order]) - sizes[order]
    list_of: Rows = np.searchsorted(index.starts, best, side="right") - 1
    return before[list_of]
