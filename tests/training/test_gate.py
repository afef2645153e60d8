"""Two networks on the same held-out samples: which differences keep the new one from serving."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from app.domain import BEHAVIOUR_KINDS, Sample
from app.plan import Gate
from app.training.gate import Verdict, clustered_error, compare
from app.training.outcome import HeldOut, Outcome

SAMPLES, ACCOUNTS, POSTS = 2000, 100, 400
MOMENT = datetime(2026, 1, 1, tzinfo=UTC)


def slice_of(dice: np.random.Generator, click_rates: np.ndarray) -> HeldOut:
    """Exposures spread over accounts, clicked as the rates (samples,) say; the last tenth of the posts is cold."""
    samples = [
        Sample(
            exposure_id=str(number),
            user_id=f"u{number % ACCOUNTS}",
            post_id=f"p{number % POSTS}",
            shown_at=MOMENT + timedelta(minutes=number),
            position=None,
            label=frozenset([BEHAVIOUR_KINDS[0]] if dice.random() < click_rates[number] else []),
            history=(),
        )
        for number in range(SAMPLES)
    ]
    rows = {f"p{number}": number for number in range(POSTS)}
    return HeldOut(samples, rows, np.arange(POSTS) >= POSTS * 9 // 10)


@pytest.fixture
def dice() -> np.random.Generator:
    return np.random.default_rng(3)


@pytest.fixture
def held_out(dice) -> HeldOut:
    return slice_of(dice, np.full(SAMPLES, 0.2))


@pytest.fixture
def serving(dice, held_out) -> Outcome:
    """A network that is right about the rates and finds some of what was clicked."""
    probabilities = np.full((SAMPLES, len(BEHAVIOUR_KINDS)), 0.001)
    probabilities[:, 0] = held_out.labels[:, 0].mean()
    clicked = held_out.labels[:, 0]
    is_cold = np.array([held_out.is_cold[held_out.rows[sample.post_id]] for sample in held_out.samples])
    gain = np.where(clicked & ~is_cold, dice.choice([0.0, 0.4, 1.0], SAMPLES), np.nan)
    cold = np.where(clicked & is_cold, (dice.random(SAMPLES) < 0.4).astype(float), np.nan)
    loss = dice.normal(0.5, 0.2, SAMPLES)
    return Outcome(probabilities, loss, gain, cold, dice.integers(POSTS, size=(ACCOUNTS, 10)))


def failed(verdict: Verdict) -> list[str]:
    return [check.name for check in verdict.checks if check.verdict == "failed"]


def judged(candidate: Outcome, serving: Outcome, held_out: HeldOut, **chosen: float) -> Verdict:
    return compare(candidate, serving, held_out, gate=Gate(**chosen), against="before")


def test_an_equal_network_may_serve(serving, held_out):
    verdict = judged(serving, serving, held_out)

    assert verdict.rejected is None
    assert verdict.against == "before"


def test_a_difference_within_its_error_is_none(dice, serving, held_out):
    candidate = replace(serving, loss=serving.loss + dice.normal(0.004, 0.2, SAMPLES))

    assert judged(candidate, serving, held_out).rejected is None


def test_each_figure_keeps_a_worse_network_from_serving(serving, held_out):
    doubled = serving.probabilities * [2, 1, 1, 1, 1]
    worse = {
        "warm NDCG@10": replace(serving, gain=serving.gain * 0.7),
        "cold recall@4": replace(serving, cold_hit=serving.cold_hit * 0.0),
        "log-loss": replace(serving, loss=serving.loss + 0.1),
        "calibration of click": replace(serving, probabilities=doubled),
        "coverage@10": replace(serving, first=serving.first % 40),
    }

    assert {name: failed(judged(candidate, serving, held_out)) for name, candidate in worse.items()} == {
        name: [name] for name in worse
    }


def test_a_better_network_may_serve_however_different(serving, held_out):
    better = replace(serving, gain=np.minimum(1.0, serving.gain + 0.2), loss=serving.loss - 0.1)

    assert judged(better, serving, held_out).rejected is None


def test_rates_that_the_serving_network_predicts_no_better_are_accepted(serving, held_out):
    both = replace(serving, probabilities=serving.probabilities * [2, 1, 1, 1, 1])

    assert judged(both, both, held_out).rejected is None


def test_what_hardly_happened_is_not_judged(serving, held_out):
    verdict = judged(serving, serving, held_out)

    assert {check.verdict for check in verdict.checks if check.name == "calibration of share"} == {"too few"}


def test_the_plan_allows_more_or_less(serving, held_out):
    candidate = replace(serving, first=serving.first % 250)

    assert failed(judged(candidate, serving, held_out)) == []
    assert failed(judged(candidate, serving, held_out, coverage_loss_share=0.0)) == ["coverage@10"]


def test_the_reason_names_figure_values_and_error(serving, held_out):
    reason = judged(replace(serving, loss=serving.loss + 0.1), serving, held_out).rejected

    assert reason is not None
    assert reason.startswith("log-loss 0.6")
    assert "worse by 0.100 ± 0.000, allowed 0.000" in reason


def test_samples_of_one_account_count_as_one_observation():
    deviations = np.repeat([1.0, -1.0], 50)

    together = clustered_error(deviations, np.repeat([0, 1], 50))
    apart = clustered_error(deviations, np.arange(100))

    assert together == pytest.approx(100)
    assert apart == pytest.approx(np.sqrt(100 * 100 / 99))
