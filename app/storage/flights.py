"""Loads under way: equal loads happen once, a caller waits only so long, and a source that failed is given a pause."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine, Hashable
from typing import Any, Generic, TypeVar
from weakref import WeakKeyDictionary

from app.errors import Unavailable

Loaded = TypeVar("Loaded")
PAUSE_SECONDS = 1.0  # between two tries of a source that has failed


class Breaker:
    """Whether a source answers, as all flights to it know together: a silent one is found out once, by one wait."""

    def __init__(self, *, pause_seconds: float = PAUSE_SECONDS) -> None:
        self._pause_seconds = pause_seconds
        self._is_failing = False
        self._failing_since = 0.0  # monotonic seconds
        self._recoveries = 0
        self._closed_until = 0.0  # monotonic seconds
        self._answered_at = 0.0  # monotonic seconds
        self._failure: asyncio.Future[None] | None = None

    def admit(self) -> bool:
        """True for an ordinary caller, false for the one who tries whether it answers again. Raises Unavailable."""
        if not self._is_failing:
            return True
        if time.monotonic() < self._closed_until:
            raise _silent("a moment ago")
        self._closed_until = time.monotonic() + self._pause_seconds
        return False

    @property
    def is_failing(self) -> bool:
        """Whether the last that was heard of the source is that it does not answer."""
        return self._is_failing

    @property
    def recoveries(self) -> int:
        """How often it has answered again after it was away, for longer than two tries: not after one slow moment.

        What was asked before may wait on a link that has died since.
        """
        return self._recoveries

    def next_failure(self) -> asyncio.Future[None]:
        """Done when the source is next found out to fail."""
        if self._failure is None:
            self._failure = asyncio.get_running_loop().create_future()
        return self._failure

    def answered(self) -> None:
        """It has answered."""
        now = time.monotonic()
        self._recoveries += self._is_failing and now - self._failing_since > 2 * self._pause_seconds
        self._is_failing, self._answered_at = False, now

    def was_silent_since(self, moment: float) -> bool:
        """Whether nothing has come from it since (monotonic): else a single load is slow, not the source."""
        return self._answered_at < moment

    def fail(self) -> None:
        """Let nobody try for a moment, and let go whoever waits."""
        now = time.monotonic()
        if not self._is_failing:
            self._is_failing, self._failing_since = True, now
        self._closed_until = now + self._pause_seconds
        if self._failure is not None:
            self._failure.set_result(None)
            self._failure = None


_breakers: WeakKeyDictionary[object, Breaker] = WeakKeyDictionary()


def breaker_of(source: object) -> Breaker:
    """The one breaker of this source in this process."""
    return _breakers.setdefault(source, Breaker())


class Flights(Generic[Loaded]):
    """One per sort of load and process.

    A load that outlasts its callers goes on: cancelling a statement waits for the server, and that may be frozen. Once
    a source that was away answers others again nobody joins it any more.
    """

    def __init__(self, breaker: Breaker, *, patience_seconds: float) -> None:
        self._breaker = breaker
        self._patience_seconds = patience_seconds
        self._under_way: dict[tuple[int, Hashable], asyncio.Task[Loaded]] = {}  # by recoveries, key

    async def join(self, key: Hashable, load: Callable[[], Coroutine[Any, Any, Loaded]]) -> Loaded:
        """What `load` gives, shared with whoever asks for the same key meanwhile.

        Raises Unavailable when the load does, when it takes too long, and for a moment after the source was found to
        fail; then a single caller at a time tries again, with half of the patience.
        """
        patience_seconds = self._admitted()
        return await self._wait(self._flight(key) or self._begin(key, load), patience_seconds)

    async def alone(self, work: Callable[[], Coroutine[Any, Any, Loaded]]) -> Loaded:
        """What `work` gives, which is shared with nobody and given up when it takes too long. Raises as `join` does."""
        patience_seconds = self._admitted()
        task = self._begin(object(), work)
        try:
            return await self._wait(task, patience_seconds)
        except Unavailable:
            task.cancel()
            raise

    def _admitted(self) -> float:
        return self._patience_seconds if self._breaker.admit() else self._patience_seconds / 2

    async def _wait(self, task: asyncio.Task[Loaded], patience_seconds: float) -> Loaded:
        began = time.monotonic()
        failure = self._breaker.next_failure()
        awaited: set[asyncio.Future[Any]] = {task, failure}
        await asyncio.wait(awaited, timeout=patience_seconds, return_when=asyncio.FIRST_COMPLETED)
        if not task.done():
            if not failure.done() and self._breaker.was_silent_since(began):
                self._breaker.fail()
            raise _silent("in time")
        try:
            loaded = task.result()
        except Unavailable:
            self._breaker.fail()
            raise
        self._breaker.answered()
        return loaded

    def ahead(self, key: Hashable, load: Callable[[], Coroutine[Any, Any, Loaded]]) -> None:
        """Begin a load that somebody will need soon, unless it is under way or the source fails; wait for nothing."""
        if self._flight(key) is None and not self._breaker.is_failing:
            self._begin(key, load)

    def _flight(self, key: Hashable) -> asyncio.Task[Loaded] | None:
        return self._under_way.get((self._breaker.recoveries, key))

    def _begin(self, key: Hashable, load: Callable[[], Coroutine[Any, Any, Loaded]]) -> asyncio.Task[Loaded]:
        name, began = (self._breaker.recoveries, key), time.monotonic()
        task = self._under_way[name] = asyncio.create_task(load())
        task.add_done_callback(lambda done: self._land(name, done, began))
        return task

    def _land(self, name: tuple[int, Hashable], task: asyncio.Task[Loaded], began: float) -> None:
        if self._under_way.get(name) is task:
            del self._under_way[name]
        if task.cancelled() or task.exception() is not None:
            return
        # Whoever tried with half the patience may have gone: what is quick enough for others lets them come again.
        if time.monotonic() - began <= self._patience_seconds:
            self._breaker.answered()


def _silent(when: str) -> Unavailable:
    return Unavailable(f"the database did not answer {when}", store="database")
