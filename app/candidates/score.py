"""References and vectors of candidates -> serving scores: the formula of `models/matching.py` for one request."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

Float32 = NDArray[np.float32]
CHUNK_ROWS = 8192  # what the references make of so many vectors stays in the processor's cache


def serving_scores(
    references: Float32, log_weights: Float32, vectors: Float32, quality: Float32, *, tau: float
) -> Float32:
    """logsumexp_r(log_weight_r + tau cos(r, c)) + quality_c of each candidate, (posts,).

    references (references, width) and vectors (posts, width) of unit length, log_weights (references,), quality
    (posts,). The heaviest weight is taken out before exp, which then has room for every tau that training may reach.
    """
    heaviest = log_weights.max()
    queries = torch.from_numpy(np.float32(tau) * references)
    weights = torch.from_numpy(log_weights - heaviest)[:, None]
    scores = np.empty(len(vectors), np.float32)
    for at in range(0, len(vectors), CHUNK_ROWS):
        some = slice(at, at + CHUNK_ROWS)
        parts = torch.addmm(weights, queries, torch.from_numpy(vectors[some]).T)
        scores[some] = parts.exp_().sum(dim=0).log_().numpy()
    scores += quality + heaviest
    return scores


def best_first(scores: Float32, count: int) -> NDArray[np.int64]:
    """Places of the `count` highest of scores (posts,), highest first, (count,) or fewer; the earlier wins a tie."""
    if len(scores) > 4 * count:
        top = np.argpartition(-scores, count)[:count]
        top.sort()
        return top[np.argsort(-scores[top], kind="stable")]
    return np.argsort(-scores, kind="stable")[:count]
