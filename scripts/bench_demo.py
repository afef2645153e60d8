"""`make demo` on an empty home, unattended -> seconds to the first recommendations and to the first trained generation,
memory of its processes, and how good its recommendations are by the truth that only the simulation knows."""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import httpx

from app.candidates.generation import GenerationFolder
from app.settings import Settings
from app.storage.servers import free_port
from app.storage.stores import open_stores
from app.storage.user_state import load_user_state
from demo.files import DemoFiles, open_beginning
from demo.keys import DemoKeys, demo_keys
from demo.measure import COUNT, PEOPLE_MEASURED, Rate, best_rate, random_rate, served_rate
from demo.parts import address_of
from demo.people import Person
from demo.phone import Phone
from demo.world import World
from scripts.bench_figures import Figure, Floor, at_least, at_most
from scripts.bench_processes import descendants, peak_gib, running, say
from scripts.bench_world import fresh_settings

FIRST_SECONDS, TRAINED_SECONDS = 60, 360
PATIENCE_SECONDS = 900
POLL_SECONDS = 0.5
API_GIB, TRAINER_GIB = 1.2, 2.5
FIRST_PERSON = "person-001"


def measure_demo(home: Path) -> list[Figure]:
    """Start it as a user does, wait, ask, stop it. Raises TimeoutError when it does not come up at all."""
    settings = fresh_settings(home).model_copy(update={"port": free_port(None)})
    others = {name: value for name, value in os.environ.items() if not name.startswith("TUWEN_")}
    environment = others | {"TUWEN_HOME": str(home), "TUWEN_PORT": str(settings.port)}
    began = time.monotonic()
    say("the demo, from an empty folder")
    log = home.with_name(f"{home.name}.log")
    with running([sys.executable, "-m", "demo.run"], environment, log) as demo:
        first = asyncio.run(first_page(settings)) - began
        say(f"the demo recommends after {first:.0f} s; waiting for its first trained generation")
        trained = wait_until_trained(settings, began)
        memory = _memory(demo.pid)
        rates = asyncio.run(click_rates(settings)) if trained is not None else []
    return [
        Figure("demo, first recommendations", first, "s", (), at_most(FIRST_SECONDS)),
        Figure("demo, first trained generation serves", trained, "s", (), at_most(TRAINED_SECONDS)),
        *memory,
        *rates,
    ]


async def first_page(settings: Settings) -> float:
    """Monotonic seconds of the first page that has posts. Raises TimeoutError."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    async with httpx.AsyncClient(base_url=address_of(settings), timeout=5) as client:
        while time.monotonic() < deadline:
            await asyncio.sleep(POLL_SECONDS / 2)
            try:
                ready = await client.get("/health/ready")
            except httpx.TransportError:
                continue  # not listening yet
            if ready.status_code == httpx.codes.OK and await _page(settings, demo_keys(settings)):
                return time.monotonic()
    raise TimeoutError(f"the demo did not recommend anything in {PATIENCE_SECONDS} s")


async def _page(settings: Settings, keys: DemoKeys) -> list[str]:
    phone = Phone(address_of(settings), key=keys.client)
    try:
        return (await phone.recommend(FIRST_PERSON, count=COUNT)).post_ids
    finally:
        await phone.aclose()


def wait_until_trained(settings: Settings, began: float) -> float | None:
    """Seconds since `began` when a trained generation serves; None when none came."""
    folder = GenerationFolder(settings.generations)
    while time.monotonic() - began < PATIENCE_SECONDS:
        current = folder.current()
        if current is not None and folder.manifest(current).origin == "trained":
            return time.monotonic() - began
        time.sleep(POLL_SECONDS)
    return None


def _memory(pid: int) -> list[Figure]:
    """Peaks of the processes under this one."""
    commands = descendants(pid)
    figures = []
    for name, command, limit in (("API", "app.cli serve", API_GIB), ("trainer", "app.cli trainer", TRAINER_GIB)):
        peaks = [peak_gib(one) for one, line in commands.items() if command in line]
        peak = max((one for one in peaks if one is not None), default=None)
        figures.append(Figure(f"demo, peak memory of the {name}", peak, "GiB", (), at_most(limit)))
    return figures


async def click_rates(settings: Settings) -> list[Figure]:
    """True click rate of the first posts: as trained, as the start has it on the same log, by popularity."""
    now = datetime.now(UTC)
    world = open_beginning(DemoFiles(settings.home / "demo"), now).world
    people = world.people[:PEOPLE_MEASURED]
    folder = GenerationFolder(settings.generations)
    trained, start = folder.current(), folder.ids()[0]
    assert trained is not None
    rates = {name: await rate_of(settings, one, world, people) for name, one in (("t", trained), ("s", start))}
    await promote(settings, trained)
    popular = await popular_rate(settings, folder.load(trained).popular, world, people)
    floors = (
        Floor("pretrained start", rates["s"].mean),
        Floor("popularity", popular.mean),
        Floor("random", random_rate(world, people, moment=now).mean),
        Floor("best possible", best_rate(world, people, moment=now).mean),
    )
    above = at_least(max(rates["s"].mean, popular.mean))
    note = f"{len(people)} people, standard error {rates['t'].error:.3f}"
    return [Figure(f"demo, true click rate of the first {COUNT}", rates["t"].mean, "", floors, above, note)]


async def rate_of(settings: Settings, generation: str, world: World, people: Sequence[Person]) -> Rate:
    """What this generation serves now."""
    phone = Phone(address_of(settings), key=demo_keys(settings).client)
    await promote(settings, generation)
    try:
        while (await phone.recommend(FIRST_PERSON, count=COUNT)).generation != generation:
            await asyncio.sleep(POLL_SECONDS)
        return await served_rate(world, phone, people, moment=datetime.now(UTC))
    finally:
        await phone.aclose()


async def promote(settings: Settings, generation: str) -> None:
    """Roll back or forward, as an operator does."""
    headers = {"Authorization": f"Bearer {demo_keys(settings).ops}"}
    async with httpx.AsyncClient(base_url=address_of(settings), headers=headers, timeout=30) as client:
        (await client.post(f"/generations/{generation}/promote")).raise_for_status()


async def popular_rate(settings: Settings, popular: Sequence[str], world: World, people: Sequence[Person]) -> Rate:
    """Of the most popular posts that the person has not seen."""
    rates, now = [], datetime.now(UTC)
    async with open_stores(settings) as stores:
        for person in people:
            seen = (await load_user_state(stores, person.user_id)).state.seen
            unseen = [post for post in popular if post not in seen][:COUNT]
            rates.append(world.true_click_rate(person.user_id, unseen, now) if unseen else 0.0)
    return Rate.of(rates)
