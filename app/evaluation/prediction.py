"""A log -> each user's last showings, and how well their behaviours are told in advance, by group."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray

from app.domain import Sample, ShownPost
from app.evaluation.log import Log, before
from app.evaluation.product import Served
from app.samples.collate import labels_of
from app.samples.history import HistoryLimits, samples_of_user
from app.training.evaluate import GROUPS, NEW_POSTS, NEW_USERS, SAMPLES_AT_ONCE, WARM, Encoded, predicted

LAST_SHARE = 0.2  # of each user's showings
NEW_SHARE = 0.1  # of the users, and of the posts, that training knows nothing of
FIRST_SHOWINGS = 10  # of a new user
PRIOR_SHOWINGS = (1.0, 3.0, 10.0, 30.0, 100.0)
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class PredictionSplit:
    """What is visible for training, and showings of every group with the history before each."""

    visible: Log
    shown: Mapping[str, Sequence[Sample]]  # group -> showings

    def labels(self, group: str) -> NDArray[np.bool_]:
        """What was done, (showings, kinds)."""
        return labels_of(self.shown[group]).astype(bool)


def prediction_split(log: Log, limits: HistoryLimits, *, seed: int) -> PredictionSplit:
    """The last showings of each known user are told in advance; of a new user, of whom nothing is visible, the first.

    A history holds what had happened strictly before its showing, as serving knows it, not only what was learnt from.
    """
    chance = random.Random(f"new {seed}")  # noqa: S311 - not for secrets
    new_users = frozenset(_drawn(sorted(log.shown), chance))
    new_posts = frozenset(_drawn(sorted(log.rows), chance))
    visible: dict[str, list[ShownPost]] = {}
    groups: dict[str, list[Sample]] = {group: [] for group in GROUPS}
    for user_id, shown in log.shown.items():
        if not shown:
            continue
        samples = list(samples_of_user(shown, limits))
        if user_id in new_users:
            groups[NEW_USERS] += [one for one in samples[:FIRST_SHOWINGS] if one.post_id not in new_posts]
            continue
        cut = shown[int((1 - LAST_SHARE) * len(shown))].shown_at
        visible[user_id] = [one for one in before(shown, cut) if one.post_id not in new_posts]
        for one in samples:
            if one.shown_at >= cut:
                groups[NEW_POSTS if one.post_id in new_posts else WARM].append(one)
    return PredictionSplit(log.with_shown(visible), groups)


def _drawn(ids: list[str], chance: random.Random) -> list[str]:
    return chance.sample(ids, round(NEW_SHARE * len(ids)))


def told_by(served: Served, samples: Sequence[Sample]) -> Floats:
    """Probabilities of the serving network, (showings, kinds)."""
    view = served.view
    encoded = Encoded(
        view.network, torch.from_numpy(view.vectors[np.arange(len(view.columns))]), torch.from_numpy(view.quality)
    )
    parts = [
        predicted(encoded, samples[at : at + SAMPLES_AT_ONCE], rows=view.row_of)
        for at in range(0, len(samples), SAMPLES_AT_ONCE)
    ]
    return np.concatenate(parts).astype(np.float64)


@dataclass(frozen=True)
class PostRates:
    """How often each behaviour followed a post's showings, drawn towards the mean of all where there were few."""

    rates: Floats  # (posts, kinds)
    mean: Floats  # (kinds,)
    rows: Mapping[str, int]

    def told(self, samples: Sequence[Sample]) -> Floats:
        """Probabilities (showings, kinds)."""
        return np.stack([self.rates[self.rows[one.post_id]] for one in samples])


def post_rates(visible: Log, *, prior_showings: float) -> PostRates:
    """Rates of what is visible."""
    samples = [
        Sample(
            one.exposure_id, one.user_id, one.post_id, one.shown_at, None, frozenset(act.kind for act in one.acts), ()
        )
        for shown in visible.shown.values()
        for one in shown
    ]
    labels = labels_of(samples).astype(np.float64)
    rows = np.asarray([visible.rows[one.post_id] for one in samples])
    done = np.zeros((len(visible.posts), labels.shape[1]))
    np.add.at(done, rows, labels)
    showings = np.bincount(rows, minlength=len(visible.posts))[:, None]
    mean = labels.mean(axis=0)
    return PostRates((done + prior_showings * mean) / (showings + prior_showings), mean, visible.rows)


def best_prior(visible: Log, *, seed: int) -> float:
    """The prior with the lowest log-loss on the same cut made once more inside of what is visible."""
    inner = prediction_split(visible, HistoryLimits(count=1), seed=seed)
    labels = inner.labels(WARM)

    def loss(prior: float) -> float:
        told = np.clip(post_rates(inner.visible, prior_showings=prior).told(inner.shown[WARM]), 1e-7, 1 - 1e-7)
        return float(-np.log(np.where(labels, told, 1 - told)).mean())

    return min(PRIOR_SHOWINGS, key=loss)
