"""Row 14: a trainer that is killed at any moment goes on where it was, and ends with the same network bit by bit."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

from app.settings import Settings, child_environment
from app.storage.stores import Stores
from tests.candidates.worlds import fill
from tests.toy_world import ToyWorld
from tests.trust.children import ROOT
from tests.trust.figures import Row
from tests.trust.training import Kill

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
CHECKPOINT_STEPS = 5


@pytest.fixture
def settings(settings: Settings, small_plan, at_full) -> Settings:
    """Small batches, so that a short log has steps for many checkpoints."""
    plan = small_plan.read_text().replace("batch_samples = 128", f"batch_samples = {at_full(16, 32)}")
    assert f"checkpoint_steps = {CHECKPOINT_STEPS}\n" in plan
    small_plan.write_text(plan)
    return settings.model_copy(update={"plan": small_plan, "threads": 1})


@pytest.mark.trust(14)
async def test_a_killed_training_goes_on_and_ends_with_the_same_network(stores: Stores, row: Row, at_full):
    wanted = at_full(2, 20)
    await fill(stores, ToyWorld(users_count=at_full(12, 30), showings_each=at_full(15, 25)), pictures=False)
    command = [sys.executable, "-m", "tests.trust.training", str(wanted)]
    environment = child_environment(stores.settings)

    told = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout

    counts = json.loads(told)
    kills = [Kill(*one) for one in counts["kills"]]
    row.done = f"{len(kills)} kill -9 at random moments of {counts['runs']} trainings, one thread, the same log"
    row.none(networks_that_differ_in_any_bit=counts["other_networks"])
    judge_steps(row, kills, at_least=at_full(1, 10))
    row.saw("steps of a training without a kill", counts["steps"])
    row.saw("steps done again in all", counts["steps_done"] - counts["runs"] * counts["steps"])
    row.saw("a training without a kill", counts["seconds"], "s")
    assert len(kills) == wanted


def judge_steps(row: Row, kills: list[Kill], *, at_least: int) -> None:
    """Each training goes on after the last checkpoint that was whole before the last step it told of."""
    after = [one for one in kills if one.last > CHECKPOINT_STEPS]
    went_on = sum(one.first != 1 for one in after)
    again = [one.last + 1 - one.first for one in kills if one.first is not None]
    row.at_least(at_least, "kills after a first checkpoint", len(after))
    row.at_least(50, "of them the training went on, not anew", 100 * went_on / max(1, len(after)), "%")
    row.at_most(CHECKPOINT_STEPS, "steps done again after one kill", max(again, default=0))
    row.none(steps_left_out=sum(steps < 0 for steps in again))
