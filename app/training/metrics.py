"""Predictions against what happened -> figures: AUC, log-loss, calibration, recall."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


def auc(scores: Floats, labels: NDArray[np.bool_]) -> float | None:
    """Chance that a positive outranks a negative, ties counting half; (samples,) twice; None without both kinds."""
    positives = int(labels.sum())
    negatives = len(labels) - positives
    if not positives or not negatives:
        return None
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    rank = (np.cumsum(counts) - (counts - 1) / 2)[inverse]  # mean rank of equal scores, 1 = lowest
    return float((rank[labels].sum() - positives * (positives + 1) / 2) / (positives * negatives))


def log_loss(probabilities: Floats, labels: NDArray[np.bool_]) -> float:
    """Mean cross-entropy in nats, (samples,) twice."""
    kept = np.clip(np.where(labels, probabilities, 1 - probabilities), 1e-7, 1)
    return float(-np.log(kept).mean())


def calibration(probabilities: Floats, labels: NDArray[np.bool_]) -> float | None:
    """Mean predicted over observed rate, (samples,) twice; None when nothing happened."""
    return float(probabilities.mean() / labels.mean()) if labels.any() else None


def rank_of(scores: NDArray[np.float32], row: int) -> int:
    """How many posts stand before `row` in scores (posts,), ties counting half, rounded up."""
    own = scores[row]
    return int((scores > own).sum() + math.ceil(((scores == own).sum() - 1) / 2))


def recall_at(ranks: Floats, depth: int) -> float:
    """Share of targets among the first `depth`, ranks (samples,) from 0."""
    return float((ranks < depth).mean())


def standard_error(values: Floats) -> float:
    """Of the mean of (samples,)."""
    return float(values.std(ddof=1) / math.sqrt(len(values))) if len(values) > 1 else 0.0


def grouped_auc(scores: Floats, labels: NDArray[np.bool_], groups: NDArray[np.int64]) -> float | None:
    """AUC within each group weighted by its size, (samples,) thrice; groups with one kind of label do not count."""
    order = np.argsort(groups, kind="stable")
    ends = np.flatnonzero(np.diff(groups[order])) + 1
    found = [(auc(scores[rows], labels[rows]), len(rows)) for rows in np.split(order, ends)]
    counted = [(value, size) for value, size in found if value is not None]
    total = sum(size for _, size in counted)
    return sum(value * size for value, size in counted) / total if total else None


def reliability(probabilities: Floats, labels: NDArray[np.bool_], *, bins: int = 10) -> list[tuple[float, float, int]]:
    """Mean predicted, observed rate and size of bins of equal size from low to high; (samples,) twice."""
    order = np.argsort(probabilities, kind="stable")
    parts = [rows for rows in np.array_split(order, bins) if len(rows)]
    return [(float(probabilities[rows].mean()), float(labels[rows].mean()), len(rows)) for rows in parts]
