"""Seeds -> the figures that only a simulation has, means over seeds with their standard errors.

python -m scripts.bench truth
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from app.candidates.encode import use_threads
from app.domain import BEHAVIOUR_KINDS
from app.plan import load_plan
from app.training.metrics import standard_error
from scripts.bench_figures import Figure, Floor, at_least, at_most
from scripts.bench_processes import say
from scripts.bench_world import fresh_settings
from scripts.truth import COLD_FIRST, FIRST, TruthSizes, figures

SEEDS = (1, 2, 3)
AGAINST_POPULARITY, AGAINST_FROZEN = 1.2, 1.7
CALIBRATED = 1.1  # predicted over true rate, either way
BIAS_LEFT = 1.15
AUC_SHARE = 0.85  # of how far the oracle is above chance

Found = dict[str, Sequence[float]]  # figure -> its value by seed


def measure_truth(home: Path) -> list[Figure]:
    """Simulate, train and look, seed by seed."""
    settings = fresh_settings(home)
    use_threads(settings.threads)
    plan, chosen = load_plan(settings.plan)
    by_seed = []
    for seed in SEEDS:
        say(f"simulating and training, seed {seed}")
        by_seed.append(asyncio.run(figures(settings, plan, chosen, seed=seed, sizes=TruthSizes())))
    found: Found = {name: [one[name] for one in by_seed] for name in by_seed[0]}
    return [*_recommended(found), *_debiased(found), *(_head(found, kind) for kind in BEHAVIOUR_KINDS)]


def _recommended(found: Found) -> list[Figure]:
    """How good what is recommended is."""
    names = ("trained matching", "frozen page", "frozen matching", "popularity", "random", "best")
    rates = [Floor(name, _mean(found[name])) for name in names]
    cold = [Floor(name, _mean(found[name])) for name in ("frozen cold", "cold random")]
    return [
        Figure(
            f"true click rate of the first {FIRST}",
            _mean(found["trained page"]),
            "",
            tuple(rates),
            None,
            _error(found["trained page"]),
        ),
        _ratio(found, "  against popularity", "trained page", "popularity", AGAINST_POPULARITY),
        _ratio(found, "  against the frozen start", "trained page", "frozen page", AGAINST_FROZEN),
        Figure(
            f"true click rate of the first {COLD_FIRST} new posts",
            _mean(found["trained cold"]),
            "",
            tuple(cold),
            at_least(_mean(found["frozen cold"])),
            _error(found["trained cold"]),
        ),
        Figure(
            f"new posts among the first {FIRST}, 1 = fair",
            _mean(found["trained cold share"]),
            "",
            note=_error(found["trained cold share"]),
        ),
    ]


def _ratio(found: Found, name: str, over: str, under: str, wanted: float) -> Figure:
    """Seed by seed."""
    ratios = [one / other for one, other in zip(found[over], found[under], strict=True)]
    return Figure(name, _mean(ratios), "x", (), at_least(wanted), _error(ratios))


def _debiased(found: Found) -> list[Figure]:
    """How far the prediction without a place still favours what the editor put on top."""
    floor = Floor("click rates of the log", _mean(found["bias of the log"]))
    bias = found["bias left"]
    return [Figure("position bias left, 1 = none", _mean(bias), "x", (floor,), at_most(BIAS_LEFT), _error(bias))]


def _head(found: Found, kind: str) -> Figure:
    """One behaviour: ranking and rate."""
    auc, best, rate = (_mean(found[f"{name} of {kind}"]) for name in ("AUC", "best AUC", "calibration"))
    word = "met" if 1 / CALIBRATED <= rate <= CALIBRATED else "MISSED"
    note = f"{_error(found[f'AUC of {kind}'])}; predicted over true rate {rate:.2f}, wanted within {CALIBRATED}: {word}"
    floors = (Floor("the truth itself", best),)
    return Figure(f"AUC of {kind}", auc, "", floors, at_least(0.5 + AUC_SHARE * (best - 0.5)), note)


def _mean(values: Sequence[float]) -> float:
    return float(np.mean(values))


def _error(values: Sequence[float]) -> str:
    return f"{len(values)} seeds, standard error {standard_error(np.asarray(values)):.3f}"
