"""Figures -> pictures: bars with standard errors, cold against warm, reliability curves."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from app.evaluation.asked import BEHAVIOUR, COLD, WARM

INK, OURS, THEIRS, CONTROL = "#333333", "#0f766e", "#cbd5e1", "#fcd34d"


def draw_pictures(figures: Mapping[str, Any], folder: Path) -> list[Path]:
    """Write one PNG for each thing that was measured; gives the files."""
    folder.mkdir(parents=True, exist_ok=True)
    protocols = figures["protocols"]
    drawn: dict[str, Figure] = {}
    if WARM in protocols:
        drawn["warm"] = _bars(_column(protocols[WARM], "warm"), "Recall@10, warm matching")
    if COLD in protocols:
        drawn["cold"] = _bars(_column(protocols[COLD], "cold"), "Recall@10 among the cold posts only")
    if WARM in protocols and COLD in protocols:
        drawn["cold-against-warm"] = _against(_column(protocols[COLD], "cold"), _column(protocols[WARM], "warm"))
    if BEHAVIOUR in protocols:
        drawn["reliability"] = _curves(protocols[BEHAVIOUR])
    files = []
    for name, figure in drawn.items():
        files.append(folder / f"{name}.png")
        figure.savefig(files[-1])
    return files


Column = dict[str, tuple[float, float]]  # row -> mean and standard error


def _column(rows: Mapping[str, Any], way: str) -> Column:
    found = {name: row[way]["recall_10"] for name, row in rows.items() if way in row}
    return {name: (figure["mean"], figure["standard_error"]) for name, figure in found.items()}


def _colour(name: str) -> str:
    if name.startswith("control"):
        return CONTROL
    return OURS if name.startswith("tuwen") else THEIRS


def _bars(column: Column, title: str) -> Figure:
    """Horizontal bars, the highest on top."""
    figure = Figure(figsize=(8, 1 + 0.3 * len(column)), dpi=110, layout="constrained")
    axes = figure.subplots()
    names = sorted(column, key=lambda name: column[name][0])
    bars = axes.barh(
        names,
        [column[name][0] for name in names],
        xerr=[column[name][1] for name in names],
        color=[_colour(name) for name in names],
        ecolor=INK,
        capsize=2,
    )
    axes.bar_label(bars, fmt="%.3f", padding=6)
    axes.margins(x=0.15)
    axes.set_title(title, loc="left", color=INK)
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _against(cold: Column, warm: Column) -> Figure:
    """One point per row that has both figures."""
    figure = Figure(figsize=(7, 5), dpi=110, layout="constrained")
    axes = figure.subplots()
    for name in cold.keys() & warm.keys():
        axes.errorbar(
            warm[name][0], cold[name][0], xerr=warm[name][1], yerr=cold[name][1], color=_colour(name), fmt="o"
        )
        axes.annotate(name, (warm[name][0], cold[name][0]), (5, 5), textcoords="offset points", fontsize=8)
    axes.set_xlabel("recall@10, warm")
    axes.set_ylabel("recall@10 among the cold posts")
    axes.spines[["top", "right"]].set_visible(False)
    return figure


def _curves(rows: Mapping[str, Any]) -> Figure:
    """Observed by predicted, one plot per behaviour, of the warm group."""
    row = rows.get("tuwen") or next(iter(rows.values()))
    kinds = row.get("warm", {})
    figure = Figure(figsize=(3.2 * max(1, len(kinds)), 3.2), dpi=110, layout="constrained")
    plots = figure.subplots(1, max(1, len(kinds)), squeeze=False)[0]
    for axes, (kind, told) in zip(plots, kinds.items(), strict=False):
        _curve(axes, kind, told["reliability"])
    return figure


def _curve(axes: Axes, kind: str, bins: list[tuple[float, float, int]]) -> None:
    highest = max(max(predicted, observed) for predicted, observed, _ in bins)
    axes.plot([0, highest], [0, highest], color=THEIRS)
    axes.plot([one[0] for one in bins], [one[1] for one in bins], "o-", color=OURS)
    axes.set_title(kind, loc="left", color=INK)
    axes.set_xlabel("predicted")
    axes.set_ylabel("observed")
    axes.spines[["top", "right"]].set_visible(False)
