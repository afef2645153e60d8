"""The rows of the behaviour protocol -> figures of each behaviour in each group, seed by seed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.domain import BEHAVIOUR_KINDS, Sample
from app.evaluation.asked import Asked, Tell
from app.evaluation.entries import ENTRIES
from app.evaluation.log import Log
from app.evaluation.prediction import Floats, PredictionSplit, best_prior, post_rates, prediction_split, told_by
from app.evaluation.serving import serving_entry
from app.evaluation.split import Split
from app.plan import TrainingPlan
from app.settings import Settings
from app.training.metrics import auc, calibration, grouped_auc, log_loss, reliability

LIKE_RATE = "like-rate of the post"
Figures = dict[str, dict[str, dict[str, Any]]]  # group -> behaviour -> name -> figure
PredictionRows = dict[str, list[Figures]]
Told = Callable[[Sequence[Sample]], Floats]


async def prediction_protocol(
    log: Log, settings: Settings, plan: TrainingPlan, sizes: dict[str, object], *, asked: Asked, tell: Tell
) -> PredictionRows:
    """All rows of the behaviour protocol."""
    rows: PredictionRows = {}
    for seed in range(asked.seeds):
        split = prediction_split(log, plan.history, seed=seed)
        if asked.wants(LIKE_RATE):
            rates = post_rates(split.visible, prior_showings=best_prior(split.visible, seed=seed))
            rows.setdefault(LIKE_RATE, []).append(figures_of(split, rates.told))
        nobody = np.zeros(0, np.int64)
        for entry in ENTRIES:
            wanted = entry.is_trained and asked.wants(entry.name, only_by_name=entry.only_by_name)
            if not wanted or (entry.is_control and seed > 0):
                continue
            tell(f"behaviour, seed {seed + 1} of {asked.seeds}: {entry.name}")
            changed = replace(split, visible=entry.change(split.visible, seed))
            cut = Split(changed.visible, (), (), nobody, ())
            async with serving_entry(entry, cut, settings, plan, sizes, seed=seed, tell=tell) as found:
                told = figures_of(changed, lambda samples, found=found: told_by(found, samples))  # type: ignore[misc]
                rows.setdefault(entry.name, []).append(told)
    return rows


def figures_of(split: PredictionSplit, told: Told) -> Figures:
    """Figures of every behaviour that ever happened, in each group with showings."""
    found: Figures = {}
    for group, samples in split.shown.items():
        if not samples:
            continue
        probabilities, labels = told(samples), split.labels(group)
        _, users = np.unique([one.user_id for one in samples], return_inverse=True)
        found[group] = {
            kind.value: _of_kind(probabilities[:, number], labels[:, number], users)
            for number, kind in enumerate(BEHAVIOUR_KINDS)
            if labels[:, number].any()
        }
    return found


def _of_kind(probabilities: Floats, labels: NDArray[np.bool_], users: NDArray[np.int64]) -> dict[str, Any]:
    """(showings,) thrice -> figures."""
    return {
        "showings": len(labels),
        "rate": float(labels.mean()),
        "auc": auc(probabilities, labels),
        "gauc": grouped_auc(probabilities, labels, users),
        "log_loss": log_loss(probabilities, labels),
        "calibration": calibration(probabilities, labels),
        "reliability": reliability(probabilities, labels),
    }
