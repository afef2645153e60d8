"""Numbers -> the paths of small charts, drawn into the page as SVG: lines over time, observed by predicted."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

WIDTH, HEIGHT = 240, 64
EDGE = 4  # so that the line's thickness stays inside
SIDE = 120


@dataclass(frozen=True, slots=True)
class LineChart:
    """A line in a box of WIDTH x HEIGHT, and the numbers beside it."""

    path: str  # of the line; gaps where there is no value
    area: str  # the same, closed to the ground
    last: tuple[float, float] | None  # where the line ends
    highest: float
    latest: float | None


@dataclass(frozen=True, slots=True)
class ReliabilityChart:
    """Observed by predicted rate in a square of SIDE; axes go from zero to `highest`, and the diagonal is right."""

    points: list[tuple[float, float]]
    path: str  # through the points
    highest: float


def reliability_chart(bins: Sequence[tuple[float, float, int]]) -> ReliabilityChart:
    """Bins of predicted rate, observed rate and size, from the lowest predicted to the highest."""
    highest = max((max(predicted, observed) for predicted, observed, _ in bins), default=0.0)
    scale = (SIDE - 2 * EDGE) / highest if highest else 0.0
    points = [(EDGE + predicted * scale, SIDE - EDGE - observed * scale) for predicted, observed, _ in bins]
    return ReliabilityChart(points, _path(points), highest)


def line_chart(values: Sequence[float | None]) -> LineChart:
    """Values in the order of time, evenly spaced; from zero to the highest."""
    known = [value for value in values if value is not None]
    highest = max(known, default=0.0)
    step = (WIDTH - 2 * EDGE) / max(1, len(values) - 1)
    points = [
        None if value is None else (EDGE + place * step, _height(value, highest)) for place, value in enumerate(values)
    ]
    runs = _runs(points)
    ground = HEIGHT - EDGE
    return LineChart(
        path=" ".join(_path(run) for run in runs),
        area=" ".join(f"{_path(run)} L{run[-1][0]:.1f} {ground} L{run[0][0]:.1f} {ground} Z" for run in runs),
        last=runs[-1][-1] if runs else None,
        highest=highest,
        latest=known[-1] if known else None,
    )


def _height(value: float, highest: float) -> float:
    return HEIGHT - EDGE - (HEIGHT - 2 * EDGE) * (value / highest if highest else 0)


def _runs(points: Sequence[tuple[float, float] | None]) -> list[list[tuple[float, float]]]:
    """The stretches without a gap."""
    runs: list[list[tuple[float, float]]] = [[]]
    for point in points:
        if point is not None:
            runs[-1].append(point)
        elif runs[-1]:
            runs.append([])
    return [run for run in runs if run]


def _path(run: Sequence[tuple[float, float]]) -> str:
    return "M" + " L".join(f"{x:.1f} {y:.1f}" for x, y in run)
