"""Loads under way: shared, waited for only so long, and not joined once their link has died."""

from __future__ import annotations

import asyncio

import pytest

from app.errors import Unavailable
from app.storage.flights import Breaker, Flights

pytestmark = pytest.mark.anyio


async def test_equal_loads_happen_once():
    flights: Flights[int] = Flights(Breaker(), patience_seconds=5)
    loads = 0

    async def load() -> int:
        nonlocal loads
        loads += 1
        await asyncio.sleep(0.01)
        return loads

    assert await asyncio.gather(*(flights.join("key", load) for _ in range(500))) == [1] * 500
    assert await flights.join("key", load) == 2


async def test_nobody_joins_a_load_that_died_with_the_link_once_the_source_answers_again():
    flights: Flights[str] = Flights(Breaker(pause_seconds=0), patience_seconds=0.02)

    async def answer() -> str:
        return "answered"

    async def hang() -> str:
        await asyncio.sleep(60)
        return "too late"

    with pytest.raises(Unavailable):
        await flights.join("dead", hang)
    with pytest.raises(Unavailable):
        await flights.join("dead", answer)
    assert await flights.join("other", answer) == "answered"

    assert await flights.join("dead", answer) == "answered"


async def test_a_source_that_needs_most_of_the_patience_counts_as_well_again():
    flights: Flights[str] = Flights(Breaker(pause_seconds=0), patience_seconds=0.2)

    async def fail() -> str:
        raise Unavailable("gone", store="database")

    async def answer() -> str:
        await asyncio.sleep(0.15)
        return "answered"

    with pytest.raises(Unavailable):
        await flights.join("one", fail)
    with pytest.raises(Unavailable):
        await flights.join("other", answer)  # who tries waits half as long
    await asyncio.sleep(0.1)

    assert await flights.join("third", answer) == "answered"


async def test_one_slow_moment_is_no_reason_to_load_anew_what_is_under_way():
    flights: Flights[int] = Flights(Breaker(pause_seconds=0.05), patience_seconds=0.02)
    loads = 0

    async def load() -> int:
        nonlocal loads
        loads += 1
        await asyncio.sleep(0.2)
        return loads

    async def answer() -> int:
        return 0

    with pytest.raises(Unavailable):
        await flights.join("slow", load)
    await asyncio.sleep(0.06)
    assert await flights.join("other", answer) == 0

    with pytest.raises(Unavailable):
        await flights.join("slow", load)
    assert loads == 1
