"""`/health` and `/metrics`: does it run, can it answer, and everything an admin asks first when it does not."""

from __future__ import annotations

import os
import platform
import time
from importlib.metadata import PackageNotFoundError, version

from fastapi import APIRouter
from starlette.responses import Response

from app.api.guarded import GuardedRoute
from app.api.health_answers import HealthAnswer, LiveAnswer, ReadyAnswer
from app.api.json_bodies import json_answer
from app.api.keys import ADMIN, OPEN, OPS
from app.api.observed import age_seconds, observe
from app.api.problems import NOT_READY, problem
from app.api.state import ApiState, State
from app.errors import Unavailable
from app.storage.jobs import latest_jobs
from app.storage.overview import row_counts

RETRY_AFTER_SECONDS = 5
NO_GENERATION = "there is no generation yet: send posts, then POST /reindex; it is ready as soon as that is done"
STOPPING = "this process is being stopped: ask another one"
PACKAGES = ("tuwen", "fastapi", "uvicorn", "pydantic", "sqlalchemy", "torch", "faiss-cpu", "numpy")

router = APIRouter(route_class=GuardedRoute, tags=["health"])


@router.get("/health/live", dependencies=[OPEN], response_model=LiveAnswer)
async def get_live() -> Response:
    """The process runs and answers. Restart it when this fails."""
    return json_answer({"status": "live"})


@router.get("/health/ready", dependencies=[OPEN], response_model=ReadyAnswer)
async def get_ready(state: State) -> Response:
    """Whether recommendations can be given: 503 says what is missing; `degraded` still answers, without a store."""
    if state.stopping.is_set() and not state.replaced.is_set():
        return problem(NOT_READY, STOPPING, headers={"Retry-After": str(RETRY_AFTER_SECONDS)}, missing=["process"])
    if state.candidates.generation is None:
        headers = {"Retry-After": str(RETRY_AFTER_SECONDS)}
        return problem(NOT_READY, NO_GENERATION, headers=headers, missing=["generation"])
    degraded = [name for name, seconds in (await _stores(state)).items() if seconds is None]
    return json_answer({"status": "degraded" if degraded else "ready", "degraded": degraded})


@router.get("/health", dependencies=[ADMIN], response_model=HealthAnswer)
async def get_health(state: State) -> Response:
    """Stores, serving generation, counts, latest jobs, versions."""
    stores = await _stores(state)
    degraded = [name for name, seconds in stores.items() if seconds is None]
    is_ready = state.candidates.generation is not None
    has_database = stores["database"] is not None
    content = {
        "status": ("degraded" if degraded else "ready") if is_ready else "not ready",
        "degraded": degraded,
        "stores": {name: {"answers": seconds is not None, "seconds": seconds} for name, seconds in stores.items()},
        "generation": _generation(state),
        "counts": await row_counts(state.stores.database) if has_database else None,
        "jobs": await latest_jobs(state.stores.database, limit=5) if has_database else None,
        "versions": {"python": platform.python_version(), **{name: _version(name) for name in PACKAGES}},
        "process_id": os.getpid(),
        "uptime_seconds": round(time.monotonic() - state.started_at, 1),
    }
    return json_answer(content)


@router.get(
    "/metrics",
    dependencies=[OPS],
    response_class=Response,
    responses={
        200: {"description": "Prometheus' text format", "content": {"text/plain": {"schema": {"type": "string"}}}}
    },
)
async def get_metrics(state: State) -> Response:
    """What this process counts and times, and how its generation, the log, the jobs and the stores stand."""
    await observe(state)
    return Response(state.metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")


async def _stores(state: ApiState) -> dict[str, float | None]:
    """How long each store took to answer, in seconds; None for one that did not."""
    found: dict[str, float | None] = {}
    for name, check in (("database", state.checks.database), ("cache", state.checks.cache)):
        try:
            found[name] = await check()
        except Unavailable:
            found[name] = None
    return found


def _generation(state: ApiState) -> dict[str, object] | None:
    """What serves."""
    generation = state.candidates.generation
    if generation is None:
        return None
    manifest = generation.manifest
    return {
        "generation": manifest.generation,
        "origin": manifest.origin,
        "created_at": manifest.created_at,
        "age_seconds": age_seconds(manifest.created_at),
        "posts": manifest.posts,
        "candidates": int(state.candidates.view().alive.sum()),
        "waiting": state.candidates.waiting,
    }


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None  # runs from a source tree that was not installed
