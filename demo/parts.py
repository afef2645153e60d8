"""Settings -> the running parts of the demo, each started when what it needs is there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, aclosing, suppress
from datetime import UTC, datetime
from pathlib import Path

import httpx

from app.console import bar
from app.errors import BadInput
from app.intake.files import import_files
from app.intake.report import FileProgress
from app.settings import Settings
from app.storage.overview import row_counts
from app.storage.stores import Stores, open_stores
from demo.children import child, say
from demo.files import Beginning, DemoFiles, open_beginning, write_files
from demo.keys import DemoKeys, demo_keys, keys_path
from demo.phone import Phone
from demo.service import Service
from demo.simulator import Simulator
from demo.visits import past_visits

LOOK_EVERY_SECONDS = 1.0
RATES_EVERY_SECONDS = 60.0
VISITS_PER_PERSON = 10.0


async def run_parts(settings: Settings) -> None:
    """Run until cancelled. Raises ChildDied (in a group) or TuwenError."""
    began = time.monotonic()
    say(f"Tuwen demo. Everything it writes is in {settings.home}")
    async with open_stores(settings) as stores, AsyncExitStack() as closing, asyncio.TaskGroup() as watch:
        keys = demo_keys(settings)
        environment = {"TUWEN_HOME": str(settings.home), **keys.environment()}
        logs = settings.home / "logs"
        service = await closing.enter_async_context(aclosing(Service(address_of(settings), key=keys.ops)))
        async with child("API", ["app.cli", "serve"], log=logs / "api.log", environment=environment) as api:
            watch.create_task(api.watch())
            beginning = await _catalogue(stores)
            await service.wait_for("/health/live")
            await _first_generation(service, logs / "reindex.log", environment)
            await service.wait_for("/health/ready")
            _introduce(settings, keys, seconds=time.monotonic() - began)
            phone = await closing.enter_async_context(aclosing(Phone(address_of(settings), key=keys.client)))
            simulator = Simulator(beginning.world, phone, served=beginning.served)
            await _replay(DemoFiles(settings.home / "demo"), beginning, simulator)
            log = logs / "trainer.log"
            async with child("trainer", ["app.cli", "trainer"], log=log, environment=environment) as trainer:
                watch.create_task(trainer.watch())
                watch.create_task(_tell(service, simulator, began))
                say("simulated people are live now: a visit every few seconds; the trainer learns from the past")
                await simulator.live(lambda: datetime.now(UTC))


def address_of(settings: Settings) -> str:
    """Where a browser on this machine finds the API."""
    host = "127.0.0.1" if settings.host in ("0.0.0.0", "::") else settings.host  # noqa: S104 (compared, not bound)
    return f"http://{f'[{host}]' if ':' in host else host}:{settings.port}"


async def _catalogue(stores: Stores) -> Beginning:
    """Pictures, titles and people in the stores; nothing to do at a later start."""
    files = DemoFiles(stores.settings.home / "demo")
    beginning = open_beginning(files, datetime.now(UTC))
    world = beginning.world
    if (await row_counts(stores.database))["posts"] >= len(world.posts):
        return beginning
    with bar("painting pictures") as painted:
        await asyncio.to_thread(write_files, files, world, painted.tell)
    with bar("importing") as imported:

        def tell(progress: FileProgress) -> None:
            imported.tell(progress.bytes_done, progress.bytes_total, step=progress.kind)

        report = await import_files(stores, posts=files.posts, users=files.users, progress=tell)
    if report.rejected:
        raise BadInput(f"{report.rejected} lines of the demo's own files were rejected: {report.rejects_files}")
    return beginning


async def _first_generation(service: Service, log: Path, environment: Mapping[str, str]) -> None:
    """Encode the catalogue with the pretrained start, unless a generation is there already."""
    serving, _ = await service.generations()
    if serving is not None:
        return
    say("encoding the catalogue with the pretrained start ...")
    async with child("reindex", ["app.cli", "reindex"], log=log, environment=environment) as reindex:
        if await reindex.process.wait() != 0:
            await reindex.watch()


def _introduce(settings: Settings, keys: DemoKeys, *, seconds: float) -> None:
    address = address_of(settings)
    say(f"""
Ready after {seconds:.0f} s.

  Feed     {address}/demo     look at it as one of the people, or as a new visitor; like something, refresh
  Admin    {address}/admin    sign in with the admin key
  API      curl -H "Authorization: Bearer $KEY" "{address}/recommend?user_id=person-001"

  client key   {keys.client}
  ops key      {keys.ops}
  admin key    {keys.admin}
  (kept in {keys_path(settings.home)}, mode 0600, where the settings name none; logs in {settings.home / "logs"})

The people are SIMULATED, and so is everything they do; the pictures and their names are real (OpenMoji, CC BY-SA 4.0).

What happens next
  now               recommendations from the pretrained start
  within a minute   two weeks of the past are replayed through the API, so that the log has something to learn from
  minutes later     the first generation trained on this log takes over, live, without a restart
  from then on      someone opens the app every few seconds; the trainer goes on learning
Ctrl-C stops everything.
""")


async def _replay(files: DemoFiles, beginning: Beginning, simulator: Simulator) -> None:
    visits = past_visits(
        beginning.world, seed=beginning.seed, until=beginning.live_from, visits_per_person=VISITS_PER_PERSON
    )
    told = files.replayed_until()
    left = [visit for visit in visits if told is None or visit.at > told]
    if not left:
        return
    place = {visit.at: number for number, visit in enumerate(visits, start=1)}
    with bar("replaying the past two weeks") as replayed:

        def report(until: datetime) -> None:
            files.note_replayed(until)
            replayed.tell(place[until], len(visits), f"{until:%d %b}")

        await simulator.replay(left, report)


async def _tell(service: Service, simulator: Simulator, began: float) -> None:
    """Say when another generation serves, and how well the pages do by the truth that only the simulation knows."""
    told = time.monotonic()
    serving, origins = await service.generations()
    while True:
        await asyncio.sleep(LOOK_EVERY_SECONDS)
        with suppress(httpx.HTTPError):  # whoever watches the API sees it if it is gone
            current, origins = await service.generations()
            if current is not None and current != serving:
                serving, minutes = current, (time.monotonic() - began) / 60
                say(f"generation {current} ({origins[current]}) serves now, {minutes:.1f} min after the start")
        if time.monotonic() - told > RATES_EVERY_SECONDS and simulator.rates:
            told = time.monotonic()
            say(rates_in_words(simulator.rates, origins))


def rates_in_words(rates: Mapping[str, Sequence[float]], origins: Mapping[str, str]) -> str:
    """True click rate of the pages of each generation."""
    words = []
    for generation, of_pages in rates.items():
        name = f"{origins.get(generation, '')} {generation}".strip()
        words.append(f"{name} {sum(of_pages) / len(of_pages):.3f} ({len(of_pages)} pages)")
    return "true click rate of what was shown: " + "; ".join(words)
