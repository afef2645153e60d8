"""What a test of the scoreboard did and measured -> one line of JSON; `make trust` makes the table of them."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field
from pathlib import Path

from scripts.bench_figures import Figure, Target, at_least, at_most


@dataclass
class Row:
    """A row of the scoreboard as one test fills it. `must_be` judges at the end, so that all figures are recorded."""

    number: int
    done: str = ""  # what was done to the service, with counts: a sentence without a full stop
    figures: list[Figure] = field(default_factory=list)

    def saw(self, name: str, value: float, unit: str = "") -> None:
        """A figure that nothing is asked of."""
        self.figures.append(Figure(name, value, unit))

    def at_most(self, limit: float, name: str, value: float, unit: str = "") -> None:
        """A figure that must not be larger."""
        self._must(name, value, unit, at_most(limit))

    def at_least(self, limit: float, name: str, value: float, unit: str = "") -> None:
        """A figure that must not be smaller."""
        self._must(name, value, unit, at_least(limit))

    def none(self, **counts: int) -> None:
        """Counts that must be zero, e.g. `none(lost=0, duplicated=0)`."""
        for name, count in counts.items():
            self._must(name.replace("_", " "), count, "", at_most(0))

    def _must(self, name: str, value: float, unit: str, target: Target) -> None:
        self.figures.append(Figure(name, value, unit, target=target))

    @property
    def missed(self) -> list[str]:
        """The figures that are not what they must be, in words."""
        return [
            f"{one.name}: {one.value:g} {one.unit}, must be {one.target.sense} {one.target.limit:g}"
            for one in self.figures
            if one.target and one.target.verdict(one.value) != "met"
        ]

    def write(self, file: Path, *, test: str, outcome: str, reason: str) -> None:
        """Append this to the figures of a run."""
        line = asdict(self) | {"test": test, "outcome": outcome, "reason": reason}
        with file.open("a", encoding="utf-8") as out:
            out.write(json.dumps(line, ensure_ascii=False) + "\n")
