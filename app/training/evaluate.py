"""A network and the later slice of time -> figures of its predictions and of its matching, beside simple baselines."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from app.domain import BEHAVIOUR_KINDS, Sample
from app.samples.collate import HistoryArrays, labels_of, positions_of
from app.samples.tokens import TokenTable
from app.training.metrics import auc, calibration, log_loss, rank_of, recall_at, reliability, standard_error
from models.cascade import Cascade

SAMPLES_AT_ONCE = 64
POSTS_AT_ONCE = 512
DEPTHS = (10, 20)
WARM, NEW_USERS, NEW_POSTS = "warm", "new users", "new posts"
GROUPS = (WARM, NEW_USERS, NEW_POSTS)


@dataclass(frozen=True)
class Yardsticks:
    """What the figures are held against; arrays are (posts,)."""

    popularity: NDArray[np.float32]  # a score
    is_new: NDArray[np.bool_]  # never shown to anybody before the slice began
    start: Cascade  # the network before any training


@dataclass(frozen=True)
class Encoded:
    """All posts through one network."""

    network: Cascade
    vectors: torch.Tensor  # (posts, width)
    quality: torch.Tensor  # (posts,)


def encode_all(network: Cascade, table: TokenTable) -> Encoded:
    """Vectors and qualities of every post of the table."""
    network.eval()
    parts = []
    with torch.inference_mode():
        for at in range(0, len(table), POSTS_AT_ONCE):
            parts.append(network.encode(table.gather(np.arange(at, min(at + POSTS_AT_ONCE, len(table))))))
    return Encoded(network, torch.cat([part[0] for part in parts]), torch.cat([part[1] for part in parts]))


def evaluate(
    network: Cascade, samples: Sequence[Sample], *, table: TokenTable, rows: Mapping[str, int], yardsticks: Yardsticks
) -> dict[str, Any]:
    """Figures on samples that the network has not learnt from.

    Matching: for each post acted on, its place among all posts that had not been shown to the account before.
    """
    samples = [sample for sample in samples if sample.post_id in rows]
    if not samples:
        return {"samples": 0}
    trained, start = encode_all(network, table), encode_all(yardsticks.start, table)
    probabilities, places = [], []
    for at in range(0, len(samples), SAMPLES_AT_ONCE):
        some = samples[at : at + SAMPLES_AT_ONCE]
        probabilities.append(predicted(trained, some, rows=rows))
        places += _places(trained, start, some, rows=rows, popularity=yardsticks.popularity)
    told, labels = np.concatenate(probabilities).astype(np.float64), labels_of(samples).astype(bool)
    groups = _groups(samples, np.asarray([yardsticks.is_new[rows[sample.post_id]] for sample in samples], bool))
    return {
        "samples": len(samples),
        "behaviours": _behaviour_figures(told, labels),
        "matching": _matching_figures(np.asarray(places, np.float64), len(table)),
        "groups": {
            name: {"samples": int(chosen.sum()), "behaviours": _behaviour_figures(told[chosen], labels[chosen])}
            for name, chosen in groups.items()
            if chosen.any()
        },
    }


def _groups(samples: Sequence[Sample], is_new_post: NDArray[np.bool_]) -> dict[str, NDArray[np.bool_]]:
    """Which samples are of each group, (samples,) each: users without a history, new posts, and all others."""
    is_new_user = np.asarray([not sample.history for sample in samples], bool) & ~is_new_post
    return {WARM: ~(is_new_user | is_new_post), NEW_USERS: is_new_user, NEW_POSTS: is_new_post}


def predicted(encoded: Encoded, samples: Sequence[Sample], *, rows: Mapping[str, int]) -> NDArray[np.float32]:
    """Probabilities (samples, kinds) of the exposed posts, with their places on the page."""
    history = _histories(samples, rows).tensors()
    exposed = torch.tensor([rows[sample.post_id] for sample in samples])
    with torch.inference_mode():
        pair = (encoded.vectors[exposed][:, None], encoded.quality[exposed][:, None])
        fused = encoded.network.fuse(encoded.vectors[history.post], history)
        logits = encoded.network.predict(*pair, fused, history.mask, positions_of(samples)[:, None])
    return np.asarray(torch.sigmoid(logits[:, 0]).numpy())


def _places(
    trained: Encoded,
    start: Encoded,
    samples: Sequence[Sample],
    *,
    rows: Mapping[str, int],
    popularity: NDArray[np.float32],
) -> list[tuple[int, int, int, int]]:
    """Of each post acted on: its place by the trained match, by the start's, by popularity, and among how many posts.

    Only accounts with references count; what had been shown before is out of the ranking.
    """
    arrays = _histories(samples, rows)
    history = arrays.tensors()
    with torch.inference_mode():
        both = [
            one.network.match(one.vectors, one.quality, one.vectors[history.post], history) for one in (trained, start)
        ]
    found = []
    for number, sample in enumerate(samples):
        if not sample.label or not bool(both[0][1][number]):
            continue
        target = rows[sample.post_id]
        shown = arrays.post[number][arrays.mask[number]]
        if target in shown:  # serving does not offer it again
            continue
        columns = [np.array(scores[number].numpy()) for scores, _ in both] + [popularity.copy()]
        for column in columns:
            column[shown] = -np.inf
        ranked = int(np.isfinite(columns[0]).sum())
        trained_place, start_place, popular_place = (rank_of(column, target) for column in columns)
        found.append((trained_place, start_place, popular_place, ranked))
    return found


def _histories(samples: Sequence[Sample], rows: Mapping[str, int]) -> HistoryArrays:
    arrays = HistoryArrays(len(samples), max(len(sample.history) for sample in samples))
    for number, sample in enumerate(samples):
        arrays.fill(number, sample.history, sample.shown_at, rows=rows)
    return arrays


def _behaviour_figures(probabilities: NDArray[np.float64], labels: NDArray[np.bool_]) -> dict[str, Any]:
    """AUC, log-loss, calibration and reliability of each behaviour; (samples, kinds) twice."""
    figures = {}
    for number, kind in enumerate(BEHAVIOUR_KINDS):
        predicted_rate, happened = probabilities[:, number], labels[:, number]
        figures[kind.value] = {
            "rate": float(happened.mean()),
            "auc": auc(predicted_rate, happened),
            "log_loss": log_loss(predicted_rate, happened),
            "calibration": calibration(predicted_rate, happened),
            "reliability": reliability(predicted_rate, happened),
        }
    return figures


def _matching_figures(places: NDArray[np.float64], posts: int) -> dict[str, Any]:
    """Recall of the trained network, the start, popularity and chance; places (targets, 4)."""
    figures: dict[str, Any] = {"targets": len(places), "posts": posts}
    if not len(places):
        return figures
    for depth in DEPTHS:
        figures[f"recall@{depth}"] = {
            "trained": recall_at(places[:, 0], depth),
            "start": recall_at(places[:, 1], depth),
            "popularity": recall_at(places[:, 2], depth),
            "random": float(np.minimum(1.0, depth / places[:, 3]).mean()),
            "standard_error": standard_error((places[:, 0] < depth).astype(np.float64)),
        }
    return figures
