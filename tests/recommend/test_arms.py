from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.recommend.arms import arm_of, wilson_interval
from app.storage.experiments import Arm, Experiment


def experiment(name: str, **shares: float) -> Experiment:
    arms = tuple(Arm(arm, share, {}) for arm, share in shares.items())
    return Experiment(name, "home", arms, datetime.now(UTC), None)


def arms_of(one: Experiment, users: int = 4000) -> list[str | None]:
    return [arm.name if (arm := arm_of(one, f"u{number}")) else None for number in range(users)]


def test_a_user_stays_in_his_arm_and_arms_get_their_shares():
    arms = arms_of(experiment("e", a=0.5, b=0.3))

    assert arms == arms_of(experiment("e", a=0.5, b=0.3))
    for arm, share in (("a", 0.5), ("b", 0.3), (None, 0.2)):
        assert arms.count(arm) / len(arms) == pytest.approx(share, abs=0.03)


def test_one_experiment_tells_nothing_of_the_arms_of_another():
    pairs = list(zip(arms_of(experiment("e", a=0.5, b=0.5)), arms_of(experiment("f", a=0.5, b=0.5)), strict=True))

    assert pairs.count(("a", "a")) / len(pairs) == pytest.approx(0.25, abs=0.03)


@pytest.mark.parametrize(  # Newcombe 1998, table I; and the rule of three's neighbour
    ("acted", "shown", "low", "high"),
    [(81, 263, 0.2553, 0.3662), (15, 148, 0.0624, 0.1605), (0, 20, 0.0, 0.1611), (1, 29, 0.0061, 0.1718)],
)
def test_the_interval_is_that_of_the_literature(acted, shown, low, high):
    assert wilson_interval(acted, shown) == pytest.approx((low, high), abs=1e-4)


@given(st.integers(0, 10**6).flatmap(lambda shown: st.tuples(st.integers(0, shown), st.just(shown))))
def test_the_interval_holds_the_rate_and_stays_between_0_and_1(counts):
    low, high = wilson_interval(*counts)

    assert 0 <= low <= (counts[0] / counts[1] if counts[1] else 0.5) <= high <= 1
