"""Loads under way: equal loads happen once, a caller waits only so long, and a source that failed is given a pause."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar

from app.errors import Unavailable

Loaded = TypeVar("Loaded")


class Flights(Generic[Loaded]):
    """One per source and process.

    A load that outlasts its callers goes on: cancelling a statement waits for the server, and that may be frozen.
    """

    def __init__(self, *, patience_seconds: float, probe_patience_seconds: float, pause_seconds: float) -> None:
        self._patience_seconds = patience_seconds
        self._probe_patience_seconds = probe_patience_seconds
        self._pause_seconds = pause_seconds
        self._under_way: dict[Hashable, asyncio.Task[Loaded]] = {}
        self._failing = False
        self._closed_until = 0.0  # monotonic seconds

    async def join(self, key: Hashable, load: Callable[[], Coroutine[Any, Any, Loaded]]) -> Loaded:
        """What `load` gives, shared with whoever asks for the same key meanwhile.

        Raises Unavailable when the load does, when it takes too long, and for a moment after either; then a single
        caller at a time tries again.
        """
        patience_seconds = self._admit()
        task = self._under_way.get(key)
        if task is None:
            task = self._under_way[key] = asyncio.create_task(load())
            task.add_done_callback(lambda done: self._land(key, done))
        done, _ = await asyncio.wait({task}, timeout=patience_seconds)
        if not done:
            self._fail()
            raise Unavailable("the database did not answer in time", store="database")
        try:
            loaded = task.result()
        except Unavailable:
            self._fail()
            raise
        self._failing = False
        return loaded

    def _admit(self) -> float:
        """How long this caller may wait."""
        if not self._failing:
            return self._patience_seconds
        if time.monotonic() < self._closed_until:
            raise Unavailable("the database did not answer a moment ago", store="database")
        self._closed_until = time.monotonic() + self._pause_seconds
        return self._probe_patience_seconds

    def _fail(self) -> None:
        self._failing = True
        self._closed_until = time.monotonic() + self._pause_seconds

    def _land(self, key: Hashable, task: asyncio.Task[Loaded]) -> None:
        if self._under_way.get(key) is task:
            del self._under_way[key]
        if not task.cancelled():
            task.exception()  # seen here too: its callers may have gone
