"""A ranking and the targets -> recall, NDCG and coverage per case, and their standard errors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.evaluation.split import Case, Rows, Split

DEPTH = 20
Floats = NDArray[np.float64]
Mask = NDArray[np.bool_]
Ranking = Callable[[Case, Mask], Rows]  # a case, posts that may be ranked (posts,) -> the best of them, best first
Scores = Callable[[Case], NDArray[np.floating]]  # a case -> (posts,), the higher the better


@dataclass(frozen=True)
class Measured:
    """Figures of each case, (cases,) each; coverage is of all together."""

    recall_10: Floats
    recall_20: Floats
    ndcg_10: Floats
    cold_share: Floats  # of the first DEPTH
    coverage_10: float  # share of the rankable posts that are among anybody's first ten


def by_scores(scores: Scores) -> Ranking:
    """The ranking of scores; equal ones in an order that is by chance but always the same."""

    def rank(case: Case, candidates: Mask) -> Rows:
        found = np.where(candidates, scores(case), -np.inf)
        chance = np.random.default_rng(len(found)).random(len(found))
        order = np.lexsort((chance, -found))[:DEPTH]
        return order[candidates[order]]

    return rank


def measured(
    ranking: Ranking,
    split: Split,
    targets: Sequence[Rows],
    *,
    among: Rows | None = None,
    tell: Callable[[int, int], None] = lambda done, total: None,
) -> Measured:
    """Rank for every case with targets: the whole catalogue minus what was seen, or only the posts `among` (rows,)."""
    posts = len(split.visible.posts)
    cases = [(case, wanted) for case, wanted in zip(split.cases, targets, strict=True) if len(wanted)]
    lists = []
    for number, (case, _) in enumerate(cases):
        candidates = np.ones(posts, bool)
        if among is not None:
            candidates[:] = False
            candidates[among] = True
        candidates[case.seen] = False
        lists.append(ranking(case, candidates)[:DEPTH])
        tell(number + 1, len(cases))
    hits = [np.isin(rows, wanted) for rows, (_, wanted) in zip(lists, cases, strict=True)]
    sizes = [len(wanted) for _, wanted in cases]
    shown = np.unique(np.concatenate([rows[:10] for rows in lists])) if lists else np.zeros(0)
    return Measured(
        recall_10=_recall(hits, sizes, 10),
        recall_20=_recall(hits, sizes, 20),
        ndcg_10=np.asarray([_ndcg(hit, size, 10) for hit, size in zip(hits, sizes, strict=True)]),
        cold_share=np.asarray([float(np.isin(rows, split.cold).mean()) if len(rows) else 0.0 for rows in lists]),
        coverage_10=len(shown) / (posts if among is None else len(among)),
    )


def _recall(hits: Sequence[Mask], sizes: Sequence[int], depth: int) -> Floats:
    """Share of the targets among the first `depth`, of as many as can be there."""
    return np.asarray([hit[:depth].sum() / min(depth, size) for hit, size in zip(hits, sizes, strict=True)], np.float64)


def _ndcg(hit: Mask, size: int, depth: int) -> float:
    """Discounted gain of (ranked,) hits over that of the best order."""
    discount = 1 / np.log2(np.arange(2, depth + 2))
    best: float = discount[: min(depth, size)].sum()
    return float((hit[:depth] * discount[: len(hit[:depth])]).sum() / best)


def mean_and_error(runs: Sequence[Floats]) -> tuple[float, float]:
    """Mean over seeds and cases, (cases,) each, and its standard error: of the cases and of the seeds together."""
    kept = [values for values in runs if len(values)]
    if not kept:
        return 0.0, 0.0
    means = np.asarray([values.mean() for values in kept])
    of_cases = np.mean([values.var(ddof=1) / len(values) if len(values) > 1 else 0.0 for values in kept])
    of_seeds = means.var(ddof=1) / len(means) if len(means) > 1 else 0.0
    return float(means.mean()), float(np.sqrt(of_cases + of_seeds))
