"""A running service -> the panel on which a visitor sees it learn: what comes in, training, and the swap."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from app.domain import BehaviourKind
from app.errors import BadArtefact, Unavailable, UnknownId
from app.pages.admin.charts import LineChart, line_chart
from app.pages.parts import PageParts
from app.pages.strips import ago
from app.storage.jobs import JobKind, latest_jobs
from app.storage.overview import row_counts
from app.storage.rates import Rates, arrivals_over_time, arrived_since, in_buckets

SPAN, BUCKET = timedelta(minutes=20), timedelta(seconds=30)
JOBS_LOOKED_AT = 6
SHOWN_ENOUGH = 10  # of one bucket, to have a rate


@dataclass(frozen=True, slots=True)
class Live:
    """What the panel shows."""

    exposures: int
    behaviours: int
    last_minute: int
    clicks: LineChart
    step: str  # what the trainer does, or what it waits for
    done: int
    total: int | None  # None while nothing runs
    generation: str | None
    serves: str
    recall: str


async def live_values(parts: PageParts, words: Mapping[str, str]) -> Live:
    """As of now."""
    database, now = parts.stores.database, datetime.now(UTC)
    counts = await row_counts(database)
    points = await _arrivals(parts, now)
    report = await asyncio.to_thread(_report, parts)
    step, done, total = await _work(parts, words, report)
    generation = parts.candidates.generation
    made_at = datetime.fromisoformat(generation.manifest.created_at) if generation else now
    return Live(
        exposures=counts["exposures"],
        behaviours=counts["behaviours"],
        last_minute=sum(rates.shown for rates in points[-2:]),
        clicks=line_chart([one.rate(BehaviourKind.CLICK) if one.shown >= SHOWN_ENOUGH else None for one in points]),
        step=step,
        done=done,
        total=total,
        generation=generation.manifest.generation if generation else None,
        serves=words["live_since"].format(time=ago(made_at, now).replace("now", "< 1 min"))
        if generation
        else words["starting"],
        recall=_recall(report, words),
    )


async def _arrivals(parts: PageParts, now: datetime) -> list[Rates]:
    """Rates of each bucket of the span, by arrival."""
    since = now - SPAN
    try:
        found = await arrivals_over_time(parts.stores.database, since=since, bucket=BUCKET)
    except Unavailable:
        found = []
    return in_buckets(found, since=since, span=SPAN, bucket=BUCKET)


async def _work(
    parts: PageParts, words: Mapping[str, str], report: Mapping[str, object]
) -> tuple[str, int, int | None]:
    """What runs and how far it is; else what it waits for."""
    database = parts.stores.database
    running = [job for job in await latest_jobs(database, limit=JOBS_LOOKED_AT) if job.finished_at is None]
    if running:
        job = running[0]
        words_of_it = words["live_training"] if job.kind is JobKind.TRAIN else words["live_reindex"]
        return words_of_it, job.done, job.total
    log = report.get("log")
    learnt = log.get("arrived_until") if isinstance(log, Mapping) else None
    since = datetime.fromisoformat(learnt) if learnt else datetime(1970, 1, 1, tzinfo=UTC)
    wanted = parts.stores.settings.trainer_minimum_exposures - await arrived_since(database, since)
    return words["live_waiting"].format(count=f"{wanted:,}") if wanted > 0 else words["live_ready"], 0, None


def _report(parts: PageParts) -> Mapping[str, object]:
    """The report of what serves; empty where there is none."""
    current = parts.generations.current()
    try:
        return parts.generations.report(current) if current else {}
    except (BadArtefact, UnknownId):
        return {}


def _recall(report: Mapping[str, object], words: Mapping[str, str]) -> str:
    """How well what serves found what people acted on later; empty for a network that was not judged."""
    figures: object = report.get("evaluation")
    for name in ("matching", "recall@10"):
        figures = figures.get(name) if isinstance(figures, Mapping) else None
    if not isinstance(figures, Mapping) or "trained" not in figures or "start" not in figures:
        return ""
    shares = {name: f"{100 * float(figures[name]):.0f}" for name in ("trained", "start")}
    return words["live_recall"].format(**shares)
