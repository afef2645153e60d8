"""Measured values -> the table that `make bench` prints: each beside its floor, with its target, on a named machine."""

from __future__ import annotations

import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("torch", "numpy", "faiss-cpu", "uvicorn", "sqlalchemy")
NOT_MEASURED = "-"


class Sense(StrEnum):
    """Which side of a target is the good one."""

    AT_LEAST = ">="
    AT_MOST = "<="


@dataclass(frozen=True)
class Target:
    """What a figure should reach."""

    sense: Sense
    limit: float

    def verdict(self, value: float | None) -> str:
        """In a word."""
        if value is None:
            return "MISSED, not measured"
        met = value >= self.limit if self.sense is Sense.AT_LEAST else value <= self.limit
        return "met" if met else "MISSED"


def at_least(limit: float) -> Target:
    """More is better."""
    return Target(Sense.AT_LEAST, limit)


def at_most(limit: float) -> Target:
    """Less is better."""
    return Target(Sense.AT_MOST, limit)


@dataclass(frozen=True)
class Floor:
    """What the same work takes, or gives, without the product around it; measured in the same run."""

    what: str
    value: float


@dataclass(frozen=True)
class Figure:
    """One line of the table. Value, floors and target share the unit."""

    name: str
    value: float | None  # None = could not be measured; `note` says why
    unit: str = ""
    floors: tuple[Floor, ...] = ()
    target: Target | None = None
    note: str = ""

    def line(self) -> list[str]:
        """Its cells."""
        target = f"{self.target.sense} {shown_number(self.target.limit)}" if self.target else ""
        verdict = self.target.verdict(self.value) if self.target else ""
        beside = [f"{floor.what} {shown_number(floor.value)}" for floor in self.floors]
        note = f"({self.note})" if self.note else ""
        return [
            self.name,
            shown_number(self.value),
            self.unit,
            target,
            verdict,
            " ".join(filter(None, ["; ".join(beside), note])),
        ]


def shown_number(value: float | None) -> str:
    """With about three digits that say something."""
    if value is None:
        return NOT_MEASURED
    digits = 0 if abs(value) >= 100 else 1 if abs(value) >= 10 else 2 if abs(value) >= 1 else 3
    return f"{value:,.{digits}f}".removesuffix(".0").removesuffix(".00").removesuffix(".000")


def print_table(groups: Sequence[tuple[str, Sequence[Figure]]]) -> None:
    """All figures, under the names of the rows that measured them."""
    lines = [[""] * 6] + [figure.line() for _, figures in groups for figure in figures]
    lines[0] = ["", "measured", "", "target", "", "floor of the same run"]
    widths = [max(len(line[column]) for line in lines) for column in range(6)]
    print(_aligned(lines[0], widths))
    for name, figures in groups:
        print(name)
        for figure in figures:
            print(_aligned(figure.line(), widths))
    targets = [figure for _, figures in groups for figure in figures if figure.target]
    met = sum(figure.target.verdict(figure.value) == "met" for figure in targets if figure.target)
    print(f"\n{met} of {len(targets)} targets met", flush=True)


def _aligned(cells: Sequence[str], widths: Sequence[int]) -> str:
    """Figures and targets to the right, words to the left."""
    name, value, unit, target, verdict, beside = cells
    parts = [
        f"  {name:<{widths[0]}}",
        f"{value:>{widths[1]}}",
        f"{unit:<{widths[2]}}",
        f"{target:>{widths[3]}}",
        f"{verdict:<{widths[4]}}",
        beside,
    ]
    return "  ".join(parts).rstrip()


def machine() -> str:
    """What the figures were measured on, two lines."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    memory = _memory_gib()
    hardware = [f"{cores} cores", _cpu_model(), *([f"{memory:.0f} GiB"] if memory else []), platform.system()]
    software = [f"Python {platform.python_version()}", *(f"{name} {version(name)}" for name in PACKAGES)]
    load = f"load before {os.getloadavg()[0]:.1f}"
    return f"{', '.join(hardware)}; {load}; {datetime.now(UTC):%Y-%m-%d %H:%M} UTC\n{', '.join(software)}"


def _cpu_model() -> str:
    """As the system names it."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except FileNotFoundError:
        return platform.processor() or platform.machine()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def _memory_gib() -> float | None:
    """Of the machine; None where it does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (ValueError, OSError):
        return None
