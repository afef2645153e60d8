"""Settings -> the running parts of the demo, each started when what it needs is there."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from datetime import UTC, datetime

import httpx

from app.candidates.generation import GenerationFolder
from app.console import bar
from app.errors import BadInput, Unavailable
from app.intake.files import import_files
from app.intake.report import FileProgress
from app.settings import Settings
from app.storage.overview import row_counts
from app.storage.stores import Stores, open_stores
from demo.children import child, say
from demo.files import Beginning, DemoFiles, open_beginning, write_files
from demo.keys import DemoKeys, demo_keys, keys_path
from demo.phone import Phone
from demo.simulator import EARLIER_FEED, Simulator
from demo.visits import past_visits

READY_SECONDS = 120.0
POLL_SECONDS = 0.25
RATES_EVERY_SECONDS = 60.0
VISITS_PER_PERSON = 9.0


async def run_parts(settings: Settings) -> None:
    """Run until cancelled. Raises ChildDied (in a group) or TuwenError."""
    began = time.monotonic()
    say(f"Tuwen demo. Everything it writes is in {settings.home}")
    async with open_stores(settings) as stores, asyncio.TaskGroup() as watch:
        keys = demo_keys(settings)
        environment = {"TUWEN_HOME": str(settings.home), **keys.environment()}
        logs = settings.home / "logs"
        beginning = await _catalogue(stores)
        async with child("API", ["app.cli", "serve"], log=logs / "api.log", environment=environment) as api:
            watch.create_task(api.watch())
            await _first_generation(settings, environment)
            await _wait_until_ready(address_of(settings))
            async with child(
                "trainer", ["app.cli", "trainer"], log=logs / "trainer.log", environment=environment
            ) as trainer:
                watch.create_task(trainer.watch())
                _introduce(settings, keys, seconds=time.monotonic() - began)
                await _people(settings, beginning, keys.client)


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


async def _first_generation(settings: Settings, environment: Mapping[str, str]) -> None:
    """Encode the catalogue with the pretrained start, unless a generation is there already."""
    if GenerationFolder(settings.generations).current() is not None:
        return
    say("  encoding the catalogue with the pretrained start ...")
    log = settings.home / "logs" / "reindex.log"
    async with child("reindex", ["app.cli", "reindex"], log=log, environment=environment) as reindex:
        if await reindex.process.wait() != 0:
            await reindex.watch()


async def _wait_until_ready(address: str) -> None:
    """Raises Unavailable when the API does not become ready."""
    deadline = time.monotonic() + READY_SECONDS
    async with httpx.AsyncClient(base_url=address, timeout=5) as http:
        while time.monotonic() < deadline:
            try:
                if (await http.get("/health/ready")).status_code == httpx.codes.OK:
                    return
            except httpx.TransportError:
                pass  # not listening yet; the task group notices if it has ended
            await asyncio.sleep(POLL_SECONDS)
    raise Unavailable(f"the API was not ready after {READY_SECONDS:.0f} s")


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
  next 2-3 minutes  two weeks of the past are replayed through the API, so that the log has something to learn from
  minutes later     the first generation trained on this log takes over, live, without a restart
  from then on      someone opens the app every few seconds; the trainer goes on learning
Ctrl-C stops everything.
""")


async def _people(settings: Settings, beginning: Beginning, client_key: str) -> None:
    """The past, then the present, and a word when a new generation serves. Runs until cancelled."""
    phone = Phone(address_of(settings), key=client_key)
    simulator = Simulator(beginning.world, phone)
    telling = asyncio.create_task(_tell(settings, simulator))
    try:
        await _replay(DemoFiles(settings.home / "demo"), beginning, simulator)
        say("  simulated people are live now: a visit every few seconds")
        await simulator.live(lambda: datetime.now(UTC))
    finally:
        telling.cancel()
        await phone.close()


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


async def _tell(settings: Settings, simulator: Simulator) -> None:
    """Say when another generation serves, and how well the pages do by the truth that only the simulation knows."""
    folder = GenerationFolder(settings.generations)
    serving, began, told = folder.current(), time.monotonic(), time.monotonic()
    while True:
        await asyncio.sleep(POLL_SECONDS)
        current = folder.current()
        if current is not None and current != serving:
            serving = current
            origin, minutes = folder.manifest(current).origin, (time.monotonic() - began) / 60
            say(f"\n  generation {current} ({origin}) serves now, {minutes:.1f} min after the start")
        if time.monotonic() - told > RATES_EVERY_SECONDS:
            told = time.monotonic()
            say("  " + _rates(folder, simulator))


def _rates(folder: GenerationFolder, simulator: Simulator) -> str:
    """True click rate of the pages of each generation, in words."""
    words = []
    for generation, rates in simulator.rates.items():
        name = "random pages" if generation == EARLIER_FEED else f"{folder.manifest(generation).origin} {generation}"
        words.append(f"{name}: {sum(rates) / len(rates):.3f} ({len(rates)} pages)")
    return "true click rate of the pages shown: " + "; ".join(words)
