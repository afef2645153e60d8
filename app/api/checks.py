"""The stores -> how long each takes to answer, asked once for everybody who wants to know at a time."""

from __future__ import annotations

import time

from app.storage.flights import Breaker, Flights
from app.storage.postgres import ping
from app.storage.standing import Standing, read_standing
from app.storage.stores import Stores

PATIENCE_SECONDS = 1.0  # a store that answers later than that counts as away


class StoreChecks:
    """Looks at the stores; a frozen one costs a second and never a pile of waiting connections."""

    def __init__(self, stores: Stores) -> None:
        self._stores = stores
        self._flights: Flights[float] = Flights(Breaker(pause_seconds=0), patience_seconds=PATIENCE_SECONDS)
        self._standings: Flights[Standing] = Flights(Breaker(pause_seconds=0), patience_seconds=PATIENCE_SECONDS)

    async def database(self) -> float:
        """Seconds that PostgreSQL took. Raises Unavailable."""
        return await self._flights.join("database", self._ask_database)

    async def standing(self) -> Standing:
        """How the log and the jobs stand. Raises Unavailable."""
        return await self._standings.join("standing", lambda: read_standing(self._stores.database))

    async def cache(self) -> float:
        """Seconds that Redis took. Raises Unavailable."""
        began = time.perf_counter()
        async with self._stores.cache.use() as redis:
            await redis.ping()
        return time.perf_counter() - began

    async def _ask_database(self) -> float:
        began = time.perf_counter()
        await ping(self._stores.database)
        return time.perf_counter() - began
