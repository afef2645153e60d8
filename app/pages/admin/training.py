"""`/admin/training`: what the serving network learnt from, how that went, how well it predicts, and when it goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from app.candidates.generation import CURVES, GenerationFolder
from app.errors import BadArtefact, UnknownId
from app.pages.admin.charts import ReliabilityChart, reliability_chart
from app.pages.admin.door import inside
from app.pages.admin.frame import PATH, Frame, frame_of
from app.pages.admin.overview import learnt_until
from app.pages.admin.sheets import sheet
from app.pages.admin.tiles import percent
from app.storage.jobs import JobKind, latest_jobs
from app.storage.rates import arrived_since

JOBS_LOOKED_AT = 50
PARTS_APART = ("matching", "behaviours")  # what is shown first
GROUPS, RELIABILITY = "groups", "reliability"  # shown as pictures


@dataclass(frozen=True, slots=True)
class FigureTable:
    """Figures of one kind, e.g. of all behaviours."""

    name: str
    title: str
    columns: list[str]
    rows: list[tuple[str, list[str]]]


@dataclass(frozen=True, slots=True)
class Reliability:
    """Whether what is promised of a behaviour happens as often."""

    kind: str
    chart: ReliabilityChart
    calibration: str


@inside.get("/training")
async def training(request: Request) -> Response:
    """The training of the serving generation, or of another."""
    frame = frame_of(request)
    folder = frame.parts.generations
    ids = await asyncio.to_thread(folder.ids)
    asked = request.query_params.get("generation")
    generation = asked if asked in ids else folder.current()
    report, has_curves = await asyncio.to_thread(_report, folder, generation)
    evaluation = report.get("evaluation", {})
    values = {
        "ids": ids[::-1],
        "generation": generation,
        "report": report,
        "volumes": list(_volumes(frame, report)),
        "reliability": reliability_of(evaluation),
        "groups": evaluation.get(GROUPS, {}),
        "number": _number,
        "percent": percent,
        "tables": figure_tables({name: part for name, part in evaluation.items() if name != GROUPS}),
        "curve_url": f"{PATH}/generations/{generation}/report.png" if has_curves else None,
        **await _next_run(frame),
    }
    return frame.page("training.html", values, room="training", title=frame.t("Training"))


@inside.get("/training.csv")
async def training_sheet(request: Request) -> Response:
    """The figures of a generation's evaluation, a row each."""
    folder = frame_of(request).parts.generations
    asked = request.query_params.get("generation", "")
    generation = asked if asked in await asyncio.to_thread(folder.ids) else folder.current()
    report, _ = await asyncio.to_thread(_report, folder, generation)
    rows = list(_flat(report.get("evaluation", {}), ()))
    return sheet("tuwen-evaluation", ("figure", "value"), [("/".join(path), value) for path, value in rows])


def _report(folder: GenerationFolder, generation: str | None) -> tuple[dict[str, Any], bool]:
    """The report, empty for a generation that cannot be read; and whether there are curves."""
    if generation is None:
        return {}, False
    try:
        return folder.report(generation), CURVES in folder.manifest(generation).files
    except (BadArtefact, UnknownId):
        return {}, False


def _volumes(frame: Frame, report: Mapping[str, Any]) -> Iterator[tuple[str, object]]:
    """How much was learnt from, in words."""
    log, t = report.get("log", {}), frame.t
    if not log:
        return
    evaluation = report.get("evaluation", {})
    yield t("samples learnt from"), f"{log.get('samples', 0):,}"
    yield t("posts in them"), f"{log.get('posts', 0):,}"
    yield t("samples held out"), f"{evaluation.get('samples', 0):,}"
    yield t("log read up to"), frame.time(datetime.fromisoformat(log["arrived_until"]))
    if log.get("held_out_since"):
        yield t("held out since"), frame.time(datetime.fromisoformat(log["held_out_since"]))
    yield t("continued from"), report.get("continued_from") or t("the pretrained start")
    yield t("took"), f"{report.get('seconds', 0):,.0f} s"


async def _next_run(frame: Frame) -> dict[str, object]:
    """When the trainer goes on, as far as its settings tell."""
    database, settings = frame.parts.stores.database, frame.parts.stores.settings
    jobs = [job for job in await latest_jobs(database, limit=JOBS_LOOKED_AT) if job.kind is JobKind.TRAIN]
    learnt = learnt_until(frame.parts.generations)
    running = next((job for job in jobs if job.finished_at is None), None)
    ended = next((job.finished_at for job in jobs if job.finished_at), None)
    return {
        "running": running,
        "new_exposures": await arrived_since(database, learnt) if learnt else None,
        "enough": settings.trainer_minimum_exposures,
        "next_at": ended + timedelta(minutes=settings.trainer_interval_minutes) if ended else None,
        "jobs": jobs[:5],
    }


def reliability_of(evaluation: Mapping[str, Any]) -> list[Reliability]:
    """A diagram per behaviour; none for reports that are older than these."""
    return [
        Reliability(kind, reliability_chart(figures[RELIABILITY]), _number(figures["calibration"]))
        for kind, figures in evaluation.get("behaviours", {}).items()
        if figures.get(RELIABILITY)
    ]


def figure_tables(evaluation: Mapping[str, Any]) -> list[FigureTable]:
    """An evaluation as tables: what was predicted and matched first, then the groups."""
    parts = {name: part for name, part in evaluation.items() if isinstance(part, Mapping) and part}
    order = [name for name in PARTS_APART if name in parts] + [name for name in parts if name not in PARTS_APART]
    return [table for name in order for table in _tables(name, parts[name])]


def _tables(name: str, part: Mapping[str, Any]) -> Iterator[FigureTable]:
    """One table per part; a part made of parts gives one for each."""
    nested = {key: value for key, value in part.items() if _is_nested(value)}
    plain = {key: value for key, value in part.items() if key not in nested}
    if plain:
        yield figure_table(name, plain)
    for key, value in nested.items():
        yield from _tables(f"{name}: {key}", value)


def _is_nested(value: object) -> bool:
    return isinstance(value, Mapping) and any(isinstance(one, Mapping) for one in value.values())


def figure_table(name: str, part: Mapping[str, Any]) -> FigureTable:
    """One part of an evaluation: a row per group of figures, a column per figure; single figures go into the title."""
    groups = {row: figures for row, figures in part.items() if isinstance(figures, Mapping)}
    single = [f"{key} {_number(value)}" for key, value in part.items() if key not in groups]
    columns = list(dict.fromkeys(column for figures in groups.values() for column in figures if column != RELIABILITY))
    rows = [(row, [_number(figures.get(column)) for column in columns]) for row, figures in groups.items()]
    title = ", ".join([name, *single])
    return FigureTable(name, title, [column.replace("_", " ") for column in columns], rows)


def _number(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    if isinstance(value, list):
        return " – ".join(_number(one) for one in value[:4])
    return "" if value is None else str(value)


def _flat(part: Mapping[str, Any], path: tuple[str, ...]) -> Iterator[tuple[tuple[str, ...], object]]:
    for name, value in part.items():
        if isinstance(value, Mapping):
            yield from _flat(value, (*path, name))
        else:
            yield (*path, name), value
