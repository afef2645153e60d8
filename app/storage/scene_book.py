"""Scenes and running experiments as of a second ago at most, in memory: what every request asks for."""

from __future__ import annotations

import time
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from app.errors import Unavailable
from app.storage.experiments import Experiment, list_experiments
from app.storage.flights import Breaker, Flights
from app.storage.scenes import Scene, list_scenes
from app.storage.stores import Stores

FRESH_SECONDS = 1.0
DEFAULT_SCENE = "default"  # of requests that name none
PATIENCE_SECONDS = 0.1  # a request does not wait long for what is almost always as it was


class SceneBook:
    """What each scene's pages are made with. Without the database it stays as it was last read."""

    def __init__(self, stores: Stores) -> None:
        self._database = stores.database
        self._scenes: Mapping[str, Scene] = {}
        self._running: Mapping[str, Experiment] = {}  # by scene
        self._read_at = -FRESH_SECONDS  # monotonic seconds
        # A breaker of its own: with so little patience a slow look must not let all of the database count as failing.
        self._flights: Flights[None] = Flights(Breaker(), patience_seconds=PATIENCE_SECONDS)

    async def current(self) -> SceneBook:
        """This book, read again if it is older than a second."""
        age_seconds = time.monotonic() - self._read_at
        if age_seconds > FRESH_SECONDS:
            with suppress(Unavailable):
                await self._flights.join("book", self.read)
        elif age_seconds > FRESH_SECONDS / 2:
            self._flights.ahead("book", self.read)  # a busy service does not wait for what it needs every second
        return self

    async def read(self) -> None:
        """Read it now. Raises Unavailable."""
        scenes = await list_scenes(self._database)
        experiments = await list_experiments(self._database)
        self._scenes = {one.scene: one for one in scenes}
        self._running = {one.scene: one for one in experiments if one.ended_at is None}
        self._read_at = time.monotonic()

    def parameters(self, scene: str | None) -> Mapping[str, Any]:
        """What was set for the scene, by the names of a request's fields."""
        found = self._scenes.get(scene or DEFAULT_SCENE)
        return found.parameters if found else {}

    def experiment(self, scene: str | None) -> Experiment | None:
        """The experiment that runs in the scene."""
        return self._running.get(scene or DEFAULT_SCENE)
