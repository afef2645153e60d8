"""Rows of every protocol -> plain values for JSON, and the lines of the tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from app.evaluation.asked import COLD, WARM
from app.evaluation.measure import Measured, mean_and_error
from app.evaluation.prediction_rows import Figures, PredictionRows
from app.evaluation.ranking_rows import Row, Rows

FIGURES = ("recall_10", "recall_20", "ndcg_10", "cold_share")
TOLD = ("auc", "gauc", "log_loss", "calibration")


@dataclass(frozen=True)
class Table:
    """A title, the names of its columns, its lines."""

    title: str
    columns: list[str]
    lines: list[list[str]]


def ranking_figures(rows: Rows) -> dict[str, Any]:
    """Row -> way of asking -> figure -> mean and standard error over cases and seeds."""
    return {name: _row(row) for name, row in rows.items()}


def _row(row: Row) -> dict[str, Any]:
    if row.missing:
        return {"not_installed": row.missing}
    return {
        "settings": dict(row.settings),
        "seconds": round(row.seconds, 1),
        **{way: _runs(runs) for way, runs in row.runs.items()},
    }


def _runs(runs: Sequence[Measured]) -> dict[str, Any]:
    found: dict[str, Any] = {"seeds": len(runs), "cases": [len(run.recall_10) for run in runs]}
    for name in FIGURES:
        mean, error = mean_and_error([getattr(run, name) for run in runs])
        found[name] = {"mean": mean, "standard_error": error}
    return found | {"coverage_10": float(np.mean([run.coverage_10 for run in runs]))}


def prediction_figures(rows: PredictionRows) -> dict[str, Any]:
    """Row -> group -> behaviour -> figure -> mean and standard error over seeds; the curves are of the first seed."""
    return {name: _over_seeds(runs) for name, runs in rows.items()}


def _over_seeds(runs: Sequence[Figures]) -> dict[str, Any]:
    found: dict[str, Any] = {"seeds": len(runs)}
    for group, of_kinds in runs[0].items():
        found[group] = {}
        for kind, first in of_kinds.items():
            figures: dict[str, Any] = {name: first[name] for name in ("showings", "rate", "reliability")}
            for name in TOLD:
                values = [run[group][kind][name] for run in runs if kind in run.get(group, {})]
                known = np.asarray([value for value in values if value is not None])
                error = float(known.std(ddof=1) / len(known) ** 0.5) if len(known) > 1 else None
                figures[name] = {"mean": float(known.mean()) if len(known) else None, "standard_error": error}
            found[group][kind] = figures
    return found


def tables(figures: Mapping[str, Any]) -> Iterator[Table]:
    """The tables of all protocols that were run."""
    protocols = figures["protocols"]
    if WARM in protocols:
        yield _warm(protocols[WARM])
    if COLD in protocols:
        yield _cold(protocols[COLD])
    if "behaviour" in protocols:
        yield from _behaviour(protocols["behaviour"])


def _warm(rows: Mapping[str, Any]) -> Table:
    columns = ["row", "recall@10", "recall@20", "NDCG@10", "coverage@10", "seeds", "seconds"]
    lines = []
    for name, row in rows.items():
        if "not_installed" in row:
            lines.append(_absent(name, row, columns))
            continue
        warm = row["warm"]
        told = [_told(warm[figure]) for figure in ("recall_10", "recall_20", "ndcg_10")]
        lines.append([name, *told, f"{warm['coverage_10']:.3f}", str(warm["seeds"]), f"{row['seconds']:.0f}"])
    return Table("warm matching: the last liked posts of everybody with enough likes", columns, lines)


def _cold(rows: Mapping[str, Any]) -> Table:
    columns = ["row", "cold only: recall@10", "recall@20", "NDCG@10"]
    columns += ["all: recall@10", "cold in the top 20", "recall@20 of cold", "seeds"]
    lines = []
    for name, row in rows.items():
        if "not_installed" in row:
            lines.append(_absent(name, row, columns))
            continue
        only = row.get("cold")
        told = [_told(only[figure]) if only else "-" for figure in ("recall_10", "recall_20", "ndcg_10")]
        full, found = row["full"], row["cold in full"]
        told += [_told(full["recall_10"]), f"{100 * full['cold_share']['mean']:.1f} %", _told(found["recall_20"])]
        lines.append([name, *told, str(full["seeds"])])
    return Table("cold posts: without any history, alone and among all", columns, lines)


def _behaviour(rows: Mapping[str, Any]) -> Iterator[Table]:
    columns = ["row", "behaviour", "showings", "rate", "AUC", "GAUC", "log-loss", "predicted / observed"]
    groups = dict.fromkeys(group for row in rows.values() for group in row if group != "seeds")
    for group in groups:
        lines = []
        for name, row in rows.items():
            for kind, told in row.get(group, {}).items():
                values = [_told(told[figure]) for figure in TOLD]
                lines.append([name, kind, str(told["showings"]), f"{told['rate']:.3f}", *values])
        yield Table(f"behaviour prediction, {group}", columns, lines)


def _told(figure: Mapping[str, float | None]) -> str:
    if figure["mean"] is None:
        return "-"
    error = figure["standard_error"]
    return f"{figure['mean']:.4f}" + (f" ± {error:.4f}" if error is not None else "")


def _absent(name: str, row: Mapping[str, Any], columns: Sequence[str]) -> list[str]:
    return [name, f"{row['not_installed']} is not installed", *[""] * (len(columns) - 2)]
