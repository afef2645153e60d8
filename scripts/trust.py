"""`make trust`: every fault and attack of the scoreboard at full counts -> the table of docs/trust.md.

    python -m scripts.trust [ROW ...] [--runs N] [--small]

Each row is proved by the tests in tests/trust that carry its number. A row that is not green says why. Rows that were
not asked for keep what they say, unless it was measured on another machine. When pytest does not get
through all tests, the table is left as it is.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from scripts.bench_figures import Sense, machine, shown_number

ROOT = Path(__file__).resolve().parents[1]
PAGE = ROOT / "docs" / "trust.md"
MEASURED = "Measured on: "
CELLS = 6  # row, fault, what must hold, what was done, figures, verdict
NOT_YET = ("", "", "not measured yet")
RAN = (0, 1)  # all tests passed, some failed; with anything else pytest did not get through them


@dataclass
class Outcome:
    """What one row came to in all its tests and runs."""

    runs: int
    done: dict[str, str] = field(default_factory=dict)  # by test
    figures: dict[tuple[str, str], list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    seen: set[tuple[int, str]] = field(default_factory=set)  # run, test
    failed: set[int] = field(default_factory=set)  # runs
    failures: list[str] = field(default_factory=list)
    skips: list[str] = field(default_factory=list)

    def add(self, line: Mapping[str, Any], *, run: int) -> None:
        """One test of one run."""
        test: str = line["test"]
        self.seen.add((run, test))
        self.done[test] = line["done"] or self.done.get(test, "")
        for figure in line["figures"]:
            self.figures[figure["name"], figure["unit"]].append(figure)
        if line["outcome"] == "passed":
            return
        reasons = self.skips if line["outcome"] == "skipped" else self.failures
        if line["outcome"] != "skipped":
            self.failed.add(run)
        if line["reason"] not in reasons:
            reasons.append(line["reason"])

    @property
    def gaps(self) -> list[str]:
        """Why the row was not measured, or not whole; nothing where all its tests ran each time."""
        if not self.seen:
            return ["no test of it ran"]
        missing = self.runs * len(self.done) - len(self.seen)
        return self.skips + ([f"{missing} times a test of it did not run"] if missing else [])

    @property
    def is_green(self) -> bool:
        """Whether all of it was measured and held every time."""
        return not self.failed and not self.gaps

    def cells(self) -> tuple[str, str, str]:
        """What was done, the figures, the verdict."""
        done = ". ".join(one for one in self.done.values() if one)
        figures = "; ".join(f"{name} {_worst(seen)} {unit}".strip() for (name, unit), seen in self.figures.items())
        verdict = f"green, {self.runs} of {self.runs}"
        if self.failed:
            verdict = f"**red**, {len(self.failed)} of {self.runs}: {'; '.join(self.failures)}"
        elif self.gaps:
            verdict = f"not measured: {'; '.join(self.gaps)}"
        return _cell(done), _cell(figures), _cell(verdict)


def _worst(seen: Sequence[Mapping[str, Any]]) -> str:
    """The worst of several runs, with what was asked; their range where nothing was."""
    values = [one["value"] for one in seen]
    target = seen[0]["target"]
    if target is None:
        low, high = min(values), max(values)
        return shown_number(low) if low == high else f"{shown_number(low)}-{shown_number(high)}"
    value = max(values) if target["sense"] == Sense.AT_MOST else min(values)
    if target["sense"] == Sense.AT_MOST and target["limit"] == 0:
        return shown_number(value)
    return f"{shown_number(value)} ({'≤' if target['sense'] == Sense.AT_MOST else '≥'} {shown_number(target['limit'])})"


def _cell(words: str) -> str:
    return " ".join(words.replace("|", "/").split())


def main(arguments: Sequence[str] | None = None) -> int:
    """Run, write the table, and end with 1 when a row that was asked for is not green."""
    chosen = _parse(arguments)
    about = machine()
    asked = chosen.rows or [int(cells[0]) for one in PAGE.read_text().splitlines() if (cells := _row(one))]
    outcomes = {number: Outcome(chosen.runs) for number in asked}
    for number in range(chosen.runs):
        print(f"run {number + 1} of {chosen.runs}", file=sys.stderr, flush=True)
        code, lines = _run(chosen.rows, is_small=chosen.small)
        for line in lines:
            outcomes[line["number"]].add(line, run=number)
        if code not in RAN:
            print(f"pytest ended with {code}: docs/trust.md is left as it is", file=sys.stderr)
            return 1
    for number in sorted(outcomes):
        print(" | ".join((str(number), *outcomes[number].cells())))
    if chosen.small:
        print("small counts: docs/trust.md is left as it is")
    else:
        PAGE.write_text(rewritten(PAGE.read_text(), outcomes, about=about))
    return 0 if all(one.is_green for one in outcomes.values()) else 1


def _run(rows: Sequence[int], *, is_small: bool) -> tuple[int, list[dict[str, Any]]]:
    """How pytest ended and the figures of one run of the tests."""
    with TemporaryDirectory(prefix="tuwen-trust-") as folder:
        file = Path(folder) / "figures.jsonl"
        command = [sys.executable, "-m", "pytest", "tests/trust", "-m", "trust", f"--trust-figures={file}"]
        command += ["--trust-full"] if not is_small else []
        command += [f"--trust-rows={','.join(map(str, rows))}"] if rows else []
        code = subprocess.run(command, cwd=ROOT, check=False).returncode
        return code, [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def rewritten(page: str, outcomes: Mapping[int, Outcome], *, about: str) -> str:
    """The page with the rows that were asked for, and without those of another machine."""
    first, _, versions = about.partition("\n")
    hardware = first.partition(";")[0]
    is_same_machine = f"{MEASURED}{hardware};" in page
    lines = []
    for line in page.splitlines():
        cells = _row(line)
        if line.startswith(MEASURED):
            line = f"{MEASURED}{hardware}; {versions}."
        elif cells:
            outcome = outcomes.get(int(cells[0]))
            if outcome is not None:
                cells[3:] = outcome.cells()
            elif cells[3] and not is_same_machine:
                cells[3:] = NOT_YET
            line = "| " + " | ".join(cells) + " |"
        lines.append(line)
    return "\n".join(lines) + "\n"


def _row(line: str) -> list[str]:
    """The cells of a row of the table; none for any other line."""
    cells = [cell.strip() for cell in line.strip("|").split("|")]
    return cells if line.startswith("|") and len(cells) == CELLS and cells[0].isdigit() else []


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m scripts.trust", description="faults and attacks -> docs/trust.md")
    parser.add_argument("rows", nargs="*", type=int, metavar="ROW", help="numbers of rows; without one, all")
    parser.add_argument("--runs", type=int, default=1, metavar="N", help="how often; the worst figures are kept")
    parser.add_argument("--small", action="store_true", help="the small counts of `make test`; writes nothing")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
