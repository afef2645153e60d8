"""What the tests of the scoreboard wrote down -> the rows of docs/trust.md."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from scripts.bench_figures import machine
from scripts.trust import ROOT, Outcome, main, rewritten

ABOUT = "2 cores, a processor; load before 0.1; 2026-11-26 13:54 UTC\nPython 3.11.7, torch 2.13.0"
PAGE = """# Trust

Measured on: 2 cores, a processor; Python 3.11.6, torch 2.12.0.

| row | fault or attack | must hold | what was done | figures | verdict |
|---|---|---|---|---|---|
| 1 | a kill | nothing lost | one kill | lost 0 | green, 5 of 5 |
| 2 | a freeze | answers | one freeze | good 100 % | green, 3 of 3 |
"""
TESTS = """
import pytest

@pytest.fixture
def broken():
    raise ValueError("no server")

@pytest.fixture
def absent():
    pytest.skip("no Chromium")

@pytest.fixture
def untidy():
    yield
    raise ValueError("still there")

@pytest.mark.trust(1)
def test_holds(row):
    row.done = "one kill"
    row.none(lost=0)

@pytest.mark.trust(1)
def test_misses(row):
    row.none(lost=2)

@pytest.mark.trust(2)
def test_cannot_begin(broken, row):
    pass

@pytest.mark.trust(3)
def test_has_no_browser(absent, row):
    pass

@pytest.mark.trust(4)
def test_leaves_something(row, untidy):
    pass

@pytest.mark.trust(5)
@pytest.mark.xfail(reason="a known flaw")
def test_cannot_hold(row):
    row.none(lost=1)

def test_of_something_else(broken):
    pass
"""


def line(test="holds", outcome="passed", reason="", lost=0):
    target = {"sense": "<=", "limit": 0}
    figure = {"name": "lost", "value": lost, "unit": "", "target": target}
    done = "" if outcome == "skipped" else f"{test} was done"
    return {"test": test, "done": done, "figures": [figure], "outcome": outcome, "reason": reason}


def outcome_of(*runs):
    """Of runs, each the lines that its tests wrote."""
    outcome = Outcome(len(runs))
    for number, lines in enumerate(runs):
        for one in lines:
            outcome.add(one, run=number)
    return outcome


def verdict_of(*runs):
    outcome = outcome_of(*runs)
    assert outcome.is_green == outcome.cells()[2].startswith("green")
    return outcome.cells()[2]


def rewritten_row(number, outcomes, about=ABOUT):
    page = rewritten(PAGE, outcomes, about=about)
    [row] = [one for one in page.splitlines() if one.startswith(f"| {number} |")]
    return [cell.strip() for cell in row.strip("|").split("|")][3:]


def test_a_row_that_held_each_time_is_green_and_says_how_often():
    assert verdict_of([line("a"), line("b")], [line("a"), line("b")]) == "green, 2 of 2"


def test_a_row_is_red_in_the_runs_in_which_any_of_its_tests_failed():
    good, bad = [line("a"), line("b")], [line("a", "failed", "lost: 3"), line("b", "failed", "late")]

    assert verdict_of(good, bad, good) == "**red**, 1 of 3: lost: 3; late"
    assert verdict_of(bad, bad, good) == "**red**, 2 of 3: lost: 3; late"


def test_a_row_with_a_skipped_test_is_not_measured():
    assert verdict_of([line("a"), line("b", "skipped", "no Chromium")]) == "not measured: no Chromium"
    assert verdict_of([line("a", "failed", "lost: 3"), line("b", "skipped", "no Chromium")]).startswith("**red**")


def test_a_row_of_which_a_test_wrote_nothing_is_not_measured():
    assert verdict_of([]) == "not measured: no test of it ran"
    assert verdict_of([line("a"), line("b")], [line("a")]) == "not measured: 1 times a test of it did not run"


def test_a_test_that_fails_after_it_held_is_red_and_keeps_what_it_did():
    outcome = outcome_of([line("a"), line("a", "failed", "still there")])

    assert outcome.cells() == ("a was done", "lost 0", "**red**, 1 of 1: still there")


def test_the_worst_figure_of_all_runs_is_kept():
    assert outcome_of([line(lost=0)], [line(lost=3)], [line(lost=1)]).cells()[1] == "lost 3"


def test_only_rows_that_were_asked_for_are_written_anew():
    outcomes = {1: outcome_of([line("a")])}

    assert rewritten_row(1, outcomes) == ["a was done", "lost 0", "green, 1 of 1"]
    assert rewritten_row(2, outcomes) == ["one freeze", "good 100 %", "green, 3 of 3"]


def test_a_row_that_was_asked_for_and_wrote_nothing_is_no_longer_green():
    assert rewritten_row(2, {2: Outcome(3)}) == ["", "", "not measured: no test of it ran"]


def test_rows_of_another_machine_do_not_stay():
    assert rewritten_row(2, {1: outcome_of([line("a")])}, about="8" + ABOUT) == ["", "", "not measured yet"]


def test_the_head_of_the_table_names_machine_and_versions_alone():
    page = rewritten(PAGE, {}, about=ABOUT)

    assert "\nMeasured on: 2 cores, a processor; Python 3.11.7, torch 2.13.0.\n" in page


def test_rows_stay_that_were_measured_on_this_very_machine():
    once = rewritten(PAGE, {1: outcome_of([line("a")])}, about=machine())

    assert "| green, 1 of 1 |" in rewritten(once, {}, about=machine())


def test_rows_without_a_test_make_the_scoreboard_fail(capfd: pytest.CaptureFixture[str]):
    before = (ROOT / "docs" / "trust.md").read_text()

    assert main(["999"]) == 1
    assert "pytest ended with 5" in capfd.readouterr().err
    assert (ROOT / "docs" / "trust.md").read_text() == before


def test_every_test_of_a_row_writes_down_how_it_came_out_even_without_its_fixtures(tmp_path: Path):
    (tmp_path / "test_rows.py").write_text(TESTS)
    plugins = ["-p", "tests.conftest", "-p", "tests.trust.conftest", "-p", "no:cacheprovider"]
    command = [sys.executable, "-m", "pytest", *plugins, f"--trust-figures={tmp_path / 'figures'}", str(tmp_path)]
    subprocess.run(command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, capture_output=True)

    written = [json.loads(one) for one in (tmp_path / "figures").read_text().splitlines()]
    assert [(one["number"], one["outcome"], one["reason"]) for one in written] == [
        (1, "passed", ""),
        (1, "failed", "Failed: lost: 2 , must be <= 0"),
        (2, "failed", "ValueError: no server"),
        (3, "skipped", "no Chromium"),
        (4, "passed", ""),
        (4, "failed", "ValueError: still there"),
        (5, "failed", "a known flaw"),
    ]
