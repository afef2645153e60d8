"""`/admin`: is all well, how fresh is what serves, how much is there, and how people answer to it."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from app.candidates.generation import GenerationFolder
from app.candidates.listing import latest_rejection
from app.domain import BEHAVIOUR_KINDS, BehaviourKind
from app.errors import BadArtefact, Unavailable, UnknownId
from app.metrics import Metrics
from app.pages.admin.alerts import Facts, alerts_of
from app.pages.admin.charts import LineChart, line_chart
from app.pages.admin.door import sign_in_page
from app.pages.admin.frame import PATH, Frame, frame_of
from app.pages.parts import is_trained
from app.storage.dead_letters import count_letters
from app.storage.jobs import Job, latest_jobs
from app.storage.overview import row_counts
from app.storage.postgres import ping
from app.storage.rates import Rates, arrived_since, in_buckets, latest_arrival, rates_over_time

JOBS_LOOKED_AT = 20
SPANS: Mapping[str, tuple[timedelta, timedelta]] = {  # what is shown, and how finely
    "day": (timedelta(days=1), timedelta(hours=1)),
    "fortnight": (timedelta(days=14), timedelta(hours=8)),
    "quarter": (timedelta(days=90), timedelta(days=1)),
}
SHOWN_ENOUGH = 30  # of one bucket: a rate of fewer showings would be noise

router = APIRouter(include_in_schema=False)


@dataclass(frozen=True, slots=True)
class RateChart:
    """One behaviour's rate over time."""

    kind: BehaviourKind
    chart: LineChart
    overall: float | None


@router.get(PATH)
async def overview(request: Request) -> Response:
    """The first page, or the way in."""
    way_in = await sign_in_page(request)
    if way_in is not None:
        return way_in
    frame = frame_of(request)
    span = request.query_params.get("span", "fortnight")
    values = await _values(frame, span if span in SPANS else "fortnight")
    return frame.page("overview.html", values, room="overview", title=frame.t("Overview"))


async def _values(frame: Frame, span: str) -> dict[str, object]:
    parts = frame.parts
    without = await _stores_away(frame)
    facts = await gather_facts(frame, without)
    generation = parts.candidates.generation
    return {
        "alerts": alerts_of(facts, frame.t),
        "facts": facts,
        "generation": generation.manifest if generation else None,
        "candidates": int(parts.candidates.view().alive.sum()) if generation else 0,
        "is_trained": is_trained(parts),
        "learnt_until": learnt_until(parts.generations),
        "counts": await row_counts(parts.stores.database),
        "spans": {"day": "24 hours", "fortnight": "14 days", "quarter": "90 days"},
        "span": span,
        **await _charts(frame, *SPANS[span]),
    }


async def _stores_away(frame: Frame) -> tuple[str, ...]:
    """Which stores do not answer."""
    stores, away = frame.parts.stores, []
    try:
        await ping(stores.database)
    except Unavailable:
        away.append("PostgreSQL")
    try:
        async with stores.cache.use() as redis:
            await redis.ping()
    except Unavailable:
        away.append("Redis")
    return tuple(away)


async def gather_facts(frame: Frame, without: tuple[str, ...]) -> Facts:
    """What alerts are judged by, as of now."""
    parts, settings = frame.parts, frame.parts.stores.settings
    database, generation = parts.stores.database, parts.candidates.generation
    learnt = learnt_until(parts.generations)
    made_at = datetime.fromisoformat(generation.manifest.created_at) if generation else None
    jobs: Sequence[Job] = await latest_jobs(database, limit=JOBS_LOOKED_AT)
    requests, degraded, shed = page_counts(parts.metrics)
    size, free = await asyncio.to_thread(_disk, parts.generations, settings.generations)
    return Facts(
        now=frame.now,
        generation_made_at=made_at,
        is_trained=is_trained(parts),
        reindex_interval=timedelta(minutes=settings.reindex_interval_minutes),
        log_latest_at=await latest_arrival(database),
        new_exposures=await arrived_since(database, learnt) if learnt else None,
        enough_exposures=settings.trainer_minimum_exposures,
        jobs=tuple(jobs),
        rejection=await asyncio.to_thread(latest_rejection, parts.generations),
        dead_letters=await count_letters(database),
        waiting=parts.candidates.waiting,
        without=without,
        requests=requests,
        degraded=degraded,
        shed=shed,
        generation_bytes=size,
        free_bytes=free,
    )


def learnt_until(folder: GenerationFolder) -> datetime | None:
    """Up to when the serving network has read the log; None for one that has not."""
    current = folder.current()
    try:
        log = folder.report(current).get("log", {}) if current else {}
    except (BadArtefact, UnknownId):
        return None
    return datetime.fromisoformat(log["arrived_until"]) if "arrived_until" in log else None


def page_counts(metrics: Metrics) -> tuple[int, int, int]:
    """Pages recommended, those of them that went without something, and all requests refused; of this process."""
    samples = [one for family in metrics.registry.collect() for one in family.samples]
    pages = [one for one in samples if one.name == "tuwen_recommend_pages_total"]
    degraded = sum(one.value for one in pages if one.labels["degraded"] == "yes")
    shed = sum(one.value for one in samples if one.name == "tuwen_requests_shed_total")
    return int(sum(one.value for one in pages)), int(degraded), int(shed)


def _disk(folder: GenerationFolder, path: object) -> tuple[int, int]:
    """Bytes of the serving generation, and free bytes beside it."""
    current = folder.current()
    try:
        files = list(folder.path(current).iterdir()) if current else []
    except UnknownId:
        files = []
    return sum(file.stat().st_size for file in files), shutil.disk_usage(str(path)).free


async def _charts(frame: Frame, span: timedelta, bucket: timedelta) -> dict[str, object]:
    since = frame.now - span
    try:
        points = await rates_over_time(frame.parts.stores.database, since=since, bucket=bucket)
    except Unavailable:
        return {"rates": [], "shown": None, "since": since, "too_many": True}
    of_bucket = in_buckets(points, since=since, span=span, bucket=bucket)
    return {
        "rates": [_rate_chart(kind, of_bucket) for kind in BEHAVIOUR_KINDS],
        "shown": line_chart([rates.shown for rates in of_bucket]),
        "shown_in_all": sum(rates.shown for rates in of_bucket),
        "since": since,
        "too_many": False,
    }


def _rate_chart(kind: BehaviourKind, buckets: Sequence[Rates]) -> RateChart:
    """Rates of the buckets in which enough was shown."""
    chart = line_chart([rates.rate(kind) if rates.shown >= SHOWN_ENOUGH else None for rates in buckets])
    shown = sum(rates.shown for rates in buckets)
    acted = sum(rates.acted.get(kind, 0) for rates in buckets)
    return RateChart(kind, chart, acted / shown if shown else None)
