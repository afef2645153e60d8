"""Settings of a rival -> the ones that do best on a validation slice, never on the test slice."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from app.evaluation.measure import Scores, by_scores, measured
from app.evaluation.split import Split, validation_split

Fit = Callable[..., Scores]  # a split and settings -> scores


def combinations(grid: Mapping[str, Sequence[Any]]) -> Iterator[dict[str, Any]]:
    """Every combination of the values."""
    for values in itertools.product(*grid.values()):
        yield dict(zip(grid, values, strict=True))


def best_settings(fit: Fit, split: Split, grid: Mapping[str, Sequence[Any]]) -> dict[str, Any]:
    """The settings with the highest recall@10 on the cut inside of what is visible; where posts are cold, of those."""
    inner = validation_split(split)
    best: dict[str, Any] = {}
    highest = -1.0
    for settings in combinations(grid):
        reached = validation_recall(fit(inner, **settings), inner)
        if reached > highest:
            best, highest = settings, reached
    return best


def validation_recall(scores: Scores, inner: Split) -> float:
    """Recall@10 on a validation cut."""
    if len(inner.cold):
        found = measured(by_scores(scores), inner, inner.cold_targets, among=inner.cold)
    else:
        found = measured(by_scores(scores), inner, inner.targets)
    return float(found.recall_10.mean()) if len(found.recall_10) else 0.0
