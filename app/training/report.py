"""A training cycle -> its report: JSON for programs, a picture of the curves for people."""

from __future__ import annotations

import io
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from app.training.fit import Curves

if TYPE_CHECKING:
    from matplotlib.axes import Axes

SMOOTHED_STEPS = 20
INK, BEHAVIOUR, SERVING, QUIET = "#333333", "#c2410c", "#0f766e", "#cbd5e1"


@dataclass(frozen=True)
class CycleReport:
    """What a training cycle was and reached; lies in its generation as report.json."""

    origin: str  # "start" or "trained"
    continued_from: str | None
    log: dict[str, Any]  # what it learnt from
    network: dict[str, Any]
    plan: dict[str, Any]
    curves: Curves
    evaluation: dict[str, Any]
    gate: dict[str, Any] | None  # what the gate says; None where it had nothing to compare, or is off
    seconds: float

    def as_json(self) -> dict[str, Any]:
        """For report.json."""
        return asdict(self)


def draw_curves(report: CycleReport) -> bytes:
    """Loss curves and, where there are figures, recall beside its baselines: a PNG."""
    from matplotlib.figure import Figure  # half a second, which only those shall wait who draw

    figure = Figure(figsize=(9, 3.2), dpi=110, layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=[3, 2])
    _draw_losses(left, report.curves)
    _draw_recall(right, report.evaluation.get("matching", {}).get("recall@10"))
    picture = io.BytesIO()
    figure.savefig(picture, format="png")
    return picture.getvalue()


def _draw_losses(axes: Axes, curves: Curves) -> None:
    """Behaviour loss on the left axis, serving loss on the right one."""
    other = axes.twinx()
    for side, values, colour, name in (
        (axes, curves.behaviour_loss, BEHAVIOUR, "behaviour loss"),
        (other, curves.serving_loss, SERVING, "serving loss"),
    ):
        side.plot(curves.step, values, color=colour, alpha=0.2, linewidth=1)
        side.plot(curves.step, _smoothed(values), color=colour, linewidth=2)
        side.set_ylabel(name, color=colour)
        side.spines["top"].set_visible(False)
    axes.set_xlabel("step")
    axes.set_title("What it learnt", loc="left", color=INK)


def _draw_recall(axes: Axes, recall: dict[str, float] | None) -> None:
    """Recall@10 of the later slice, trained beside start, popularity and chance."""
    axes.set_title("Recall@10 on the later slice", loc="left", color=INK)
    axes.spines[["top", "right"]].set_visible(False)
    if recall is None:
        axes.text(0.5, 0.5, "not enough log to hold any out", ha="center", transform=axes.transAxes, color=INK)
        axes.set_axis_off()
        return
    names = ["random", "popularity", "start", "trained"]
    axes.barh(names, [recall[name] for name in names], color=[QUIET, QUIET, QUIET, SERVING])
    errors = [0.0, 0.0, 0.0, recall["standard_error"]]
    axes.errorbar([recall["trained"]], [3], xerr=errors[3:], color=INK, capsize=3)
    for place, (name, error) in enumerate(zip(names, errors, strict=True)):
        end = (recall[name] + error, place)
        axes.annotate(f"{recall[name]:.3f}", end, xytext=(5, 0), textcoords="offset points", va="center", color=INK)
    axes.margins(x=0.25)
    axes.locator_params(axis="x", nbins=5)


def _smoothed(values: list[float]) -> list[float]:
    """Running mean, the same length."""
    if not values:
        return []
    sums = np.cumsum([0.0, *values])
    ends = np.arange(1, len(values) + 1)
    begins = np.maximum(0, ends - SMOOTHED_STEPS)
    return list((sums[ends] - sums[begins]) / (ends - begins))
