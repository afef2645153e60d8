"""`make bench` on next to no data; what it measures is for a quiet machine, not for a test."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.bench_figures import Figure, at_least, at_most

ROOT = Path(__file__).parents[1]


def bench(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "scripts.bench", *arguments]
    return subprocess.run(command, cwd=ROOT, env=os.environ | environment, capture_output=True, text=True)


@pytest.mark.slow
def test_every_figure_stands_in_one_table_beside_its_floor(small_plan):
    ran = bench("import", "training", "reindex", "recommend", "scaled", "--tiny", TUWEN_PLAN=str(small_plan))

    assert ran.returncode == 0, ran.stderr
    assert " cores, " in ran.stdout.splitlines()[0]
    for figure, floor in (
        ("exposures imported", "COPY"),
        ("trained posts", "forward and backward pass alone"),
        ("posts reindexed", "encoder on ready tensors"),
        ("new pictures read", "backbone on decoded pixels"),
        ("/recommend, p50", "/health/live"),
        ("/recommend at 5,000, CPU  ", "bare FAISS search"),
        ("the match alone at 5,000", "FAISS"),
    ):
        [line] = [line for line in ran.stdout.splitlines() if figure in line]
        assert floor in line


def test_an_unknown_row_is_refused_with_the_known_ones():
    ran = bench("speed")

    assert ran.returncode == 2
    assert "import, training, reindex, recommend, scaled, demo, movielens" in ran.stderr


def test_a_target_that_is_missed_is_printed_as_missed():
    assert "MISSED" in Figure("rate", 5.0, "/s", target=at_least(8)).line()
    assert "met" in Figure("time", 5.0, "s", target=at_most(8)).line()
    assert "MISSED, not measured" in Figure("memory", None, "GiB", target=at_most(8)).line()
