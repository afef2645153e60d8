"""What the routes need of the running service, put together once at its start."""

from __future__ import annotations

import asyncio
import os
import time
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends
from starlette.requests import Request

from app.api.checks import StoreChecks
from app.api.limits import Lane
from app.api.reindex_child import ReindexChildren
from app.candidates.generation import GenerationFolder
from app.candidates.serving import ServingCandidates
from app.errors import Unavailable
from app.intake.status import ItemStatus
from app.metrics import Metrics
from app.storage.flights import Flights, breaker_of
from app.storage.scene_book import SceneBook
from app.storage.stores import Stores
from app.storage.user_state import LoadedUser

STATE = "api"  # in the state of the application
SERVING_LANE, READING_LANE, WRITING_LANE, PICTURE_LANE = "serving", "reading", "writing", "pictures"


@dataclass(frozen=True)
class ApiState:
    """The stores, the serving candidates, and what watches over them."""

    stores: Stores
    candidates: ServingCandidates
    generations: GenerationFolder
    children: ReindexChildren
    metrics: Metrics
    checks: StoreChecks
    freshening: Flights[None]
    recording: Flights[list[ItemStatus]]  # of pages as shown
    stopping: asyncio.Event  # set: it answers, and wants no more requests
    replaced: asyncio.Event  # set: another worker of this service takes them
    scenes: SceneBook
    batch: asyncio.Lock  # held while a batch of recommendations is written
    started_at: float  # monotonic seconds

    async def freshen(self, user: LoadedUser) -> bool:
        """See changes of the catalogue that are older than this request; false when they could not be read in time."""
        version = user.posts_version
        if not self.candidates.is_behind(version):
            return True
        try:
            await self.freshening.join(version, lambda: self.candidates.see_changes_of(version))
        except Unavailable:
            return False
        return True

    async def show_changes(self) -> None:
        """Let this process see what it has just changed, with or without Redis."""
        await self.candidates.see_changes()


def api_state(stores: Stores, candidates: ServingCandidates, metrics: Metrics) -> ApiState:
    """The state of a service; goes into the application's state under STATE."""
    breaker, patience_seconds = breaker_of(stores.database), stores.settings.recommend_patience_seconds
    return ApiState(
        stores=stores,
        candidates=candidates,
        generations=GenerationFolder(stores.settings.generations),
        children=ReindexChildren(stores, metrics),
        metrics=metrics,
        checks=StoreChecks(stores),
        freshening=Flights(breaker, patience_seconds=patience_seconds),
        recording=Flights(breaker, patience_seconds=patience_seconds),  # who waited to read does not wait to write
        stopping=asyncio.Event(),
        replaced=asyncio.Event(),
        scenes=SceneBook(stores),
        batch=asyncio.Lock(),
        started_at=time.monotonic(),
    )


def lanes(metrics: Metrics, *, workers: int = 1) -> dict[str, Lane]:
    """How many requests of each sort one of the workers has at once: together as many as there are cores for them.

    Of several workers each serves two at least: a page that waits for a store must not hold up all others.
    """
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    share = max(1, cores // workers)
    serving = share if workers == 1 else max(2, share)
    places = {SERVING_LANE: serving, READING_LANE: 4, WRITING_LANE: 4, PICTURE_LANE: share}
    return {name: Lane(name, places=count, metrics=metrics) for name, count in places.items()}


async def state_of(request: Request) -> ApiState:
    """The state of the service that answers this request."""
    state: ApiState = getattr(request.app.state, STATE)
    return state


State = Annotated[ApiState, Depends(state_of)]
