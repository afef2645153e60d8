"""`make trust`: every fault and attack of the scoreboard at full counts -> the table of docs/trust.md.

    python -m scripts.trust [ROW ...] [--runs N] [--small]

Each row is proved by the tests in tests/trust that carry its number. A row that is not green says why. Rows that were
not run keep what they say, unless it was measured on another machine.
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


@dataclass
class Outcome:
    """What one row came to in all its tests and runs."""

    done: dict[str, str] = field(default_factory=dict)  # by test
    figures: dict[tuple[str, str], list[dict[str, Any]]] = field(default_factory=lambda: defaultdict(list))
    passed: int = 0
    failed: int = 0
    reasons: list[str] = field(default_factory=list)

    def add(self, line: Mapping[str, Any]) -> None:
        """One test of one run."""
        self.done[line["test"]] = line["done"]
        for figure in line["figures"]:
            self.figures[figure["name"], figure["unit"]].append(figure)
        if line["outcome"] == "passed":
            self.passed += 1
        else:
            self.failed += 1
            if line["reason"] not in self.reasons:
                self.reasons.append(line["reason"])

    def cells(self) -> tuple[str, str, str]:
        """What was done, the figures, the verdict."""
        done = ". ".join(one for one in self.done.values() if one)
        figures = "; ".join(f"{name} {_worst(seen)} {unit}".strip() for (name, unit), seen in self.figures.items())
        verdict = "green"
        if self.failed:
            verdict = f"**red**, {self.failed} of {self.failed + self.passed}: {'; '.join(self.reasons)}"
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
    """Run, write the table, and end with 1 when a row that was run is not green."""
    chosen = _parse(arguments)
    about = machine()
    lines: list[dict[str, Any]] = []
    for number in range(chosen.runs):
        print(f"run {number + 1} of {chosen.runs}", file=sys.stderr, flush=True)
        lines += _run(chosen.rows, is_small=chosen.small)
    outcomes: dict[int, Outcome] = defaultdict(Outcome)
    for line in lines:
        outcomes[line["number"]].add(line)
    for number in sorted(outcomes):
        print(" | ".join((str(number), *outcomes[number].cells())))
    if chosen.small:
        print("small counts: docs/trust.md is left as it is")
    else:
        PAGE.write_text(rewritten(PAGE.read_text(), outcomes, about=about, runs=chosen.runs))
    return 1 if not outcomes or any(one.failed for one in outcomes.values()) else 0


def _run(rows: Sequence[int], *, is_small: bool) -> list[dict[str, Any]]:
    """The figures of one run of the tests."""
    with TemporaryDirectory(prefix="tuwen-trust-") as folder:
        file = Path(folder) / "figures.jsonl"
        command = [sys.executable, "-m", "pytest", "tests/trust", "-m", "trust", f"--trust-figures={file}"]
        command += ["--trust-full"] if not is_small else []
        command += [f"--trust-rows={','.join(map(str, rows))}"] if rows else []
        subprocess.run(command, cwd=ROOT, check=False)
        return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def rewritten(page: str, outcomes: Mapping[int, Outcome], *, about: str, runs: int) -> str:
    """The page with the rows that were run, and without those of another machine."""
    hardware, _, rest = about.replace("\n", ". ").partition(";")
    is_same_machine = f"{MEASURED}{hardware};" in page
    lines = []
    for line in page.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith(MEASURED):
            line = f"{MEASURED}{hardware};{rest}; runs of each row: {runs}."
        elif line.startswith("|") and len(cells) == CELLS and cells[0].isdigit():
            outcome = outcomes.get(int(cells[0]))
            if outcome is not None:
                cells[3:] = outcome.cells()
            elif cells[3] and not is_same_machine:
                cells[3:] = NOT_YET
            line = "| " + " | ".join(cells) + " |"
        lines.append(line)
    return "\n".join(lines) + "\n"


def _parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m scripts.trust", description="faults and attacks -> docs/trust.md")
    parser.add_argument("rows", nargs="*", type=int, metavar="ROW", help="numbers of rows; without one, all")
    parser.add_argument("--runs", type=int, default=1, metavar="N", help="how often; the worst figures are kept")
    parser.add_argument("--small", action="store_true", help="the small counts of `make test`; writes nothing")
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
