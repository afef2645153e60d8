"""The service's surroundings -> gauges, when Prometheus asks: what serves, the log, the jobs, the stores, the disk.

The trainer has no port of its own: what it does is read from the database and from the generation that serves.
"""

from __future__ import annotations

import shutil
from datetime import UTC, datetime

from app.api.state import ApiState
from app.candidates.generation import Generation
from app.candidates.listing import latest_rejection
from app.errors import BadArtefact, Unavailable, UnknownId
from app.metrics import Metrics
from app.storage.jobs import JobKind, JobState
from app.storage.standing import Standing

UNKNOWN = float("nan")


async def observe(state: ApiState) -> None:
    """Bring the gauges up to date; what cannot be known now is NaN."""
    metrics = state.metrics
    metrics.training_rejected.set(latest_rejection(state.generations) is not None)
    _observe_candidates(state, metrics)
    metrics.home_free_bytes.set(shutil.disk_usage(state.stores.settings.home).free)
    for name, check in (("database", state.checks.database), ("cache", state.checks.cache)):
        try:
            await check()
            metrics.store_up.labels(name).set(1)
        except Unavailable:
            metrics.store_up.labels(name).set(0)
    for gauge in (metrics.job_age, metrics.job_seconds, metrics.jobs_under_way):
        gauge.clear()
    try:
        _observe_standing(await state.checks.standing(), metrics)
    except Unavailable:
        metrics.log_age.set(UNKNOWN)
        metrics.clock_ahead.set(UNKNOWN)
        metrics.dead_letters.set(UNKNOWN)


def _observe_candidates(state: ApiState, metrics: Metrics) -> None:
    generation = state.candidates.generation
    metrics.waiting.set(state.candidates.waiting)
    metrics.generation.clear()
    if generation is None:
        metrics.generation_age.set(UNKNOWN)
        metrics.learnt_age.set(UNKNOWN)
        return
    manifest = generation.manifest
    learnt_until = _learnt_until(state, generation)
    metrics.generation.labels(manifest.generation, manifest.origin).set(1)
    metrics.generation_age.set(age_seconds(manifest.created_at))
    metrics.candidates.set(int(state.candidates.view().alive.sum()))
    metrics.learnt_age.set(UNKNOWN if learnt_until is None else age_seconds(learnt_until))


def _learnt_until(state: ApiState, generation: Generation) -> str | None:
    """When the newest exposure arrived that the serving network has learnt from; None for one that was not trained."""
    try:
        log = state.generations.report(generation.manifest.generation).get("log", {})
    except (BadArtefact, UnknownId):
        return None  # its folder has gone; it serves from memory
    until = log.get("arrived_until")
    return until if isinstance(until, str) else None


def _observe_standing(standing: Standing, metrics: Metrics) -> None:
    metrics.clock_ahead.set(standing.clock_ahead_seconds)
    metrics.dead_letters.set(standing.dead_letters)
    metrics.log_age.set(UNKNOWN if standing.log_age_seconds is None else standing.log_age_seconds)
    for kind in JobKind:
        metrics.jobs_under_way.labels(kind).set(standing.under_way.get(kind, 0))
    for ending in standing.endings:
        metrics.job_age.labels(ending.kind, ending.state).set(ending.age_seconds)
        if ending.state is JobState.DONE:
            metrics.job_seconds.labels(ending.kind).set(ending.seconds)


def age_seconds(created_at: str) -> float:
    """Seconds since a moment, RFC 3339 with an offset."""
    return (datetime.now(UTC) - datetime.fromisoformat(created_at)).total_seconds()
