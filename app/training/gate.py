"""A trained network and the serving one on the same held-out samples -> whether the new one may serve, and why not.

It may unless it is worse, by more than chance explains and more than the plan allows, at any of: finding known posts,
finding new ones, predicting, predicting the right rates, or using the whole catalogue.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.domain import BEHAVIOUR_KINDS
from app.plan import Gate
from app.training.outcome import HeldOut, Outcome

Floats = NDArray[np.float64]
LEAST_EXPECTED = 1e-6  # behaviours; a ruined network may say that nothing ever happens
RESAMPLES = 200  # of the accounts, for the error of the coverage


@dataclass(frozen=True)
class Check:
    """One figure of both networks."""

    name: str
    candidate: float | None  # None = the slice says nothing of it
    serving: float | None
    worse_by: float  # of the candidate; below 0 = better
    standard_error: float  # of that
    allowed: float  # so much worse is accepted
    events: int  # targets, samples, behaviours or accounts that it was judged on
    verdict: str  # "passed", "failed", or "too few" events to tell

    @property
    def reason(self) -> str:
        """Why it fails, in words."""
        return (
            f"{self.name} {self.candidate:.3f} against {self.serving:.3f} of the serving one "
            f"(worse by {self.worse_by:.3f} ± {self.standard_error:.3f}, allowed {self.allowed:.3f})"
        )


@dataclass(frozen=True)
class Verdict:
    """What the gate says of a trained network."""

    against: str | None  # the generation it was compared with; None = the pretrained start
    samples: int
    checks: tuple[Check, ...]

    @property
    def rejected(self) -> str | None:
        """Why it must not serve; None when it may."""
        return "; ".join(check.reason for check in self.checks if check.verdict == "failed") or None

    def as_json(self) -> dict[str, Any]:
        """For the report."""
        return {**asdict(self), "checks": [asdict(check) for check in self.checks], "rejected": self.rejected}


def compare(candidate: Outcome, serving: Outcome, held_out: HeldOut, *, gate: Gate, against: str | None) -> Verdict:
    """Hold the candidate against the serving network on the same samples."""
    accounts = held_out.accounts
    gain, cold, loss = (
        _Pair(candidate.gain, serving.gain, accounts),
        _Pair(candidate.cold_hit, serving.cold_hit, accounts),
        _Pair(candidate.loss, serving.loss, accounts),
    )
    checks = (
        gain.check("warm NDCG@10", gate, share=gate.warm_loss_share, higher_is_better=True),
        cold.check(f"cold recall@{held_out.cold_depth}", gate, share=gate.cold_loss_share, higher_is_better=True),
        loss.check("log-loss", gate, share=gate.log_loss_share, higher_is_better=False),
        *(_calibration(candidate, serving, held_out, kind=kind, gate=gate) for kind in range(len(BEHAVIOUR_KINDS))),
        _coverage(candidate, serving, posts=len(held_out.is_cold), gate=gate),
    )
    return Verdict(against, len(held_out.samples), checks)


class _Pair:
    """A figure of both networks, sample by sample; NaN samples do not count. All (samples,)."""

    def __init__(self, candidate: Floats, serving: Floats, accounts: NDArray[np.int64]) -> None:
        counts = ~np.isnan(candidate)
        self.candidate, self.serving, self.accounts = candidate[counts], serving[counts], accounts[counts]

    def check(self, name: str, gate: Gate, *, share: float, higher_is_better: bool) -> Check:
        """Compare the means; `share` of the serving one's may be lost."""
        events = len(self.candidate)
        if not events:
            return _judged(name, (None, None), (0.0, 0.0), allowed=0.0, events=0, gate=gate)
        worse = self.serving - self.candidate if higher_is_better else self.candidate - self.serving
        means = float(self.candidate.mean()), float(self.serving.mean())
        difference = float(worse.mean()), clustered_error(worse - worse.mean(), self.accounts) / events
        return _judged(name, means, difference, allowed=share * means[1], events=events, gate=gate)


def clustered_error(deviations: Floats, accounts: NDArray[np.int64]) -> float:
    """Standard error of a sum: (samples,) deviations from the mean, those of one account adding up before squaring."""
    of_account = np.bincount(accounts, deviations)
    counted = len(np.unique(accounts))
    return float(np.sqrt((of_account**2).sum() * counted / max(1, counted - 1)))


def _calibration(candidate: Outcome, serving: Outcome, held_out: HeldOut, *, kind: int, gate: Gate) -> Check:
    """How far predicted and observed rate of a behaviour are apart, as |log ratio|: within the band, or no worse."""
    name = f"calibration of {BEHAVIOUR_KINDS[kind]}"
    happened = held_out.labels[:, kind].astype(np.float64)
    events = int(happened.sum())
    if not events:
        return _judged(name, (None, None), (0.0, 0.0), allowed=0.0, events=0, gate=gate)
    expected = [max(LEAST_EXPECTED, float(one.probabilities[:, kind].sum())) for one in (candidate, serving)]
    ratios = expected[0] / events, expected[1] / events
    deviations = candidate.probabilities[:, kind] - ratios[0] * happened
    distance = abs(math.log(ratios[0])), clustered_error(deviations, held_out.accounts) / expected[0]
    allowed = max(math.log(gate.calibration_ratio), abs(math.log(ratios[1])))
    return _judged(name, ratios, distance, allowed=allowed, events=events, gate=gate)


def _coverage(candidate: Outcome, serving: Outcome, *, posts: int, gate: Gate) -> Check:
    """Share of the catalogue that is among anybody's first ten; the error by drawing the accounts anew."""
    accounts = len(candidate.first)
    dice = np.random.default_rng(0)
    lost = []
    for number in range(RESAMPLES + 1):
        drawn = dice.integers(accounts, size=accounts) if number else np.arange(accounts)
        lost.append([len(np.unique(one.first[drawn])) / posts for one in (candidate, serving)])
    shares = np.asarray(lost)
    both = float(shares[0, 0]), float(shares[0, 1])
    difference = both[1] - both[0], float((shares[1:, 1] - shares[1:, 0]).std())
    allowed = gate.coverage_loss_share * both[1]
    return _judged("coverage@10", both, difference, allowed=allowed, events=accounts, gate=gate)


def _judged(
    name: str,
    both: tuple[float | None, float | None],
    worse: tuple[float, float],
    *,
    allowed: float,
    events: int,
    gate: Gate,
) -> Check:
    """A check with its verdict; `both` is candidate and serving, `worse` the difference and its standard error."""
    is_worse = worse[0] - gate.standard_errors * worse[1] > allowed
    verdict = "too few" if events < gate.least_events else "failed" if is_worse else "passed"
    return Check(name, *both, *worse, allowed, events, verdict)
