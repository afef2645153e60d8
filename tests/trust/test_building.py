"""Row 9: a build of a generation that is killed leaves the old or the new one serving, and the next build works."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.trust.children import ROOT
from tests.trust.figures import Row


@pytest.mark.trust(9)
def test_a_build_killed_at_any_step_leaves_something_that_serves(row: Row, tmp_path: Path, at_full):
    random_kills = at_full(10, 200)
    command = [sys.executable, "-m", "tests.trust.building", str(tmp_path / "generations"), str(random_kills)]

    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    counts = json.loads(done.stdout)
    row.done = f"kill -9 before each of {counts['steps']} steps of a build, and {random_kills} times at a random moment"
    row.none(nothing_serves=counts["nothing_serves"], next_build_fails=counts["next_build_fails"])
    row.none(leftovers_after_the_next_build=counts["leftovers"])
    assert counts["steps"] > 30
