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

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@pytest.fixture
def settings(settings: Settings, small_plan) -> Settings:
    return settings.model_copy(update={"plan": small_plan, "threads": 1})


@pytest.mark.trust(14)
async def test_a_killed_training_ends_with_the_same_network(stores: Stores, row: Row, at_full):
    kills = at_full(2, 20)
    await fill(stores, ToyWorld(users_count=at_full(12, 30), showings_each=at_full(15, 25)), pictures=False)
    command = [sys.executable, "-m", "tests.trust.training", str(kills)]
    environment = child_environment(stores.settings)

    told = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True).stdout

    counts = json.loads(told)
    row.done = f"{counts['kills']} kill -9 at random moments of {counts['runs']} trainings, one thread, the same log"
    row.none(networks_that_differ_in_any_bit=counts["other_networks"])
    row.saw("a training without a kill", counts["seconds"], "s")
    assert counts["kills"] == kills
