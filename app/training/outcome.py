"""A network and the held-out samples -> what it gets right and wrong on each, which the gate compares in pairs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
from numpy.typing import NDArray

from app.domain import Sample
from app.samples.collate import HistoryArrays, labels_of
from app.samples.tokens import TokenTable
from app.training.evaluate import SAMPLES_AT_ONCE, Encoded, encode_all, predicted
from app.training.metrics import rank_of
from models.cascade import Cascade

Floats = NDArray[np.float64]
DEPTH = 10
COLD_SHARE = 0.1  # of the cold posts, where these are few: ten out of eleven would be no achievement


@dataclass(frozen=True)
class HeldOut:
    """Samples that neither network has learnt from."""

    samples: Sequence[Sample]
    rows: Mapping[str, int]  # post id -> row
    is_cold: NDArray[np.bool_]  # (posts,) never shown to anybody before the slice began

    @cached_property
    def accounts(self) -> NDArray[np.int64]:
        """A number for each sample's account, (samples,)."""
        return np.unique([sample.user_id for sample in self.samples], return_inverse=True)[1]

    @cached_property
    def labels(self) -> NDArray[np.bool_]:
        """What was done, (samples, kinds)."""
        return labels_of(self.samples).astype(bool)

    @property
    def cold_depth(self) -> int:
        """How far down the ranking of the cold posts counts as found."""
        return max(1, min(DEPTH, int(COLD_SHARE * self.is_cold.sum())))


@dataclass(frozen=True)
class Outcome:
    """One network on a held-out slice; NaN where a figure is not of that sample."""

    probabilities: Floats  # (samples, kinds)
    loss: Floats  # (samples,) cross-entropy of all kinds together, nats
    gain: Floats  # (samples,) NDCG@10 of a post acted on that had been shown before the slice
    cold_hit: Floats  # (samples,) 1 where a cold post acted on is among the first of the cold ones
    first: NDArray[np.int64]  # (accounts, 10) rows of the best posts at each account's latest sample


def outcome(network: Cascade, table: TokenTable, held_out: HeldOut) -> Outcome:
    """Ask the network about every sample: predictions with the place on the page, orders without what was shown."""
    encoded = encode_all(network, table)
    samples = held_out.samples
    probabilities: list[NDArray[np.float32]] = []
    gain, cold_hit = np.full(len(samples), np.nan), np.full(len(samples), np.nan)
    first = np.zeros((int(held_out.accounts.max()) + 1, min(DEPTH, len(table))), np.int64)
    latest = _latest_of_accounts(held_out)
    for at in range(0, len(samples), SAMPLES_AT_ONCE):
        some = samples[at : at + SAMPLES_AT_ONCE]
        probabilities.append(predicted(encoded, some, rows=held_out.rows))
        scores, has_reference = _scores(encoded, some, held_out.rows)
        for place, sample in enumerate(some):
            number = at + place
            if latest[number]:
                first[held_out.accounts[number]] = _best(scores[place], first.shape[1])
            if sample.label and has_reference[place]:
                gain[number], cold_hit[number] = _found(scores[place], held_out.rows[sample.post_id], held_out)
    every = np.concatenate(probabilities).astype(np.float64)
    kept = np.clip(np.where(held_out.labels, every, 1 - every), 1e-7, 1)
    return Outcome(every, -np.log(kept).sum(axis=1), gain, cold_hit, first)


def _latest_of_accounts(held_out: HeldOut) -> NDArray[np.bool_]:
    """Which samples are the last ones of their accounts, (samples,)."""
    shown_at = np.asarray([sample.shown_at.timestamp() for sample in held_out.samples])
    order = np.lexsort((shown_at, held_out.accounts))
    accounts = held_out.accounts[order]
    latest = np.zeros(len(order), bool)
    latest[order[np.append(accounts[1:] != accounts[:-1], True)]] = True
    return latest


def _scores(
    encoded: Encoded, samples: Sequence[Sample], rows: Mapping[str, int]
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    """Match and ranking together, (samples, posts), -inf for what the history shows; who has references, (samples,).

    Serving orders its few hundred best matches so; here all posts are, which differs only far down.
    """
    arrays = HistoryArrays(len(samples), max(len(sample.history) for sample in samples))
    for number, sample in enumerate(samples):
        arrays.fill(number, sample.history, sample.shown_at, rows=rows)
    history = arrays.tensors()
    with torch.inference_mode():
        semantic = encoded.vectors[history.post]
        matched, has_reference = encoded.network.match(encoded.vectors, encoded.quality, semantic, history)
        interest = encoded.network.interest(encoded.network.fuse(semantic, history), history.mask)
    scores = np.array((matched + interest @ encoded.vectors.T).numpy())
    sample_of, place = np.nonzero(arrays.mask)
    scores[sample_of, arrays.post[sample_of, place]] = -np.inf
    return scores, has_reference.numpy()


def _best(scores: NDArray[np.float32], count: int) -> NDArray[np.int64]:
    """Rows of the highest of scores (posts,), in any order."""
    return np.argpartition(-scores, count - 1)[:count]


def _found(scores: NDArray[np.float32], target: int, held_out: HeldOut) -> tuple[float, float]:
    """NDCG@10 among all posts for a warm target, a hit among the cold ones for a cold one; NaN for the other."""
    if scores[target] == -np.inf:  # shown before: serving does not offer it again
        return np.nan, np.nan
    if held_out.is_cold[target]:
        among_cold = np.where(held_out.is_cold, scores, -np.inf)
        return np.nan, float(rank_of(among_cold, target) < held_out.cold_depth)
    rank = rank_of(scores, target)
    return (1 / np.log2(rank + 2) if rank < DEPTH else 0.0), np.nan
