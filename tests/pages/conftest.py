"""A running service with a part of the demo catalogue and a log, in a thread of its own, for a browser to look at."""

from __future__ import annotations

import asyncio
import io
import random
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

import httpx
import psycopg
import pytest
import uvicorn
from axe_playwright_python.sync_playwright import Axe
from PIL import Image
from playwright.sync_api import Browser, ViewportSize, sync_playwright
from playwright.sync_api import Page as BrowserPage
from pydantic import SecretStr

from app.candidates.reindex import run_reindex
from app.intake.batches import take_in
from app.intake.files import import_files
from app.main import create_app
from app.settings import Settings
from app.storage.embedded import Addresses
from app.storage.keys import bootstrap_keys
from app.storage.postgres import sync_engine
from app.storage.servers import free_port
from app.storage.stores import Stores, open_stores
from app.trainer import train_once
from demo.files import DemoFiles, open_beginning, write_files
from demo.phone import Page
from demo.simulator import Shown, show
from demo.visits import Visit
from demo.world import World
from tests.conftest import SMALL_PLAN, TEMPLATE

ADMIN_KEY = "the-admin-key-of-the-tests"
CLIENT_KEY = "the-client-key-of-the-tests"
OPS_KEY = "the-ops-key-of-the-tests"
POSTS = 96
START_SECONDS = 300
LOGGED_PEOPLE = ("person-009", "person-010", "person-011", "person-012")
VISITS_PER_PERSON = 12
Scheme = Literal["light", "dark"]
PHONE = ViewportSize(width=390, height=844)
DESK = ViewportSize(width=1440, height=900)
PICTURES = Path(__file__).parents[2] / "docs" / "pictures"
CHROMIUM = Path("/usr/bin/chromium")


@dataclass(frozen=True)
class Site:
    """Where the service listens and what it holds."""

    address: str
    world: World
    settings: Settings


@pytest.fixture(scope="package")
def site(addresses: Addresses, server: psycopg.Connection, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    name = f"pages_{threading.get_ident()}"
    home = tmp_path_factory.mktemp("site")
    (home / "plan.toml").write_text(SMALL_PLAN)
    server.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    settings = Settings(
        home=home,
        plan=home / "plan.toml",
        port=free_port(None),
        demo=True,
        database_url=SecretStr(addresses.database_url.rsplit("/", 1)[0] + "/" + name),
        redis_url=SecretStr(addresses.redis_url),
        redis_timeout_seconds=2,
        admin_key=SecretStr(ADMIN_KEY),
        client_key=SecretStr(CLIENT_KEY),
        ops_key=SecretStr(OPS_KEY),
    )
    with _Running(settings) as world:
        yield Site(f"http://127.0.0.1:{settings.port}", world, settings)
    server.execute(f"DROP DATABASE {name} WITH (FORCE)")


class _Running:
    """The service in a thread; the block begins when it answers."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._ready = threading.Event()
        self._server: uvicorn.Server | None = None
        self._world: World | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._run()), daemon=True)

    async def _run(self) -> None:
        async with open_stores(self._settings) as stores:
            await bootstrap_keys(stores)
            files = DemoFiles(self._settings.home / "demo")
            whole = open_beginning(files, datetime.now(UTC)).world
            self._world = World(whole.posts[:POSTS], whole.people[:12], whole.began_at)
            write_files(files, self._world, lambda done, total: None)
            await import_files(stores, posts=files.posts, users=files.users)
            await run_reindex(stores, requested_by="test")
            await self._learn(stores)
            app = create_app(stores)
            config = uvicorn.Config(app, port=self._settings.port, log_config=None, access_log=False)
            self._server = uvicorn.Server(config)
            self._ready.set()
            await self._server.serve()

    async def _learn(self, stores: Stores) -> None:
        """What some of the people saw and did, one training on it, and an item that was rejected."""
        for shown in visits_of(self._world, LOGGED_PEOPLE):
            await take_in(stores, "exposure", shown.exposures, source="test")
            await take_in(stores, "behaviour", shown.behaviours, source="test")
        await take_in(
            stores, "exposure", [{"user_id": "somebody", "post_id": "no-such-post", "shown_at": 1}], source="test"
        )
        engine = sync_engine(stores.addresses.database_url)
        await train_once(stores, engine, requested_by="test", tell=lambda _: None, progress=lambda *_: None)
        engine.dispose()

    def __enter__(self) -> World:
        self._thread.start()
        assert self._ready.wait(START_SECONDS)
        assert self._world is not None
        transport = httpx.HTTPTransport(retries=20)
        with httpx.Client(base_url=f"http://127.0.0.1:{self._settings.port}", transport=transport) as http:
            while http.get("/health/ready").status_code != httpx.codes.OK:
                threading.Event().wait(0.1)
        return self._world

    def __exit__(self, *_: object) -> None:
        assert self._server is not None
        self._server.should_exit = True
        self._thread.join(START_SECONDS)


def visits_of(world: World, user_ids: Sequence[str]) -> Iterator[Shown]:
    """Pages of random posts over the last days, and what the people did on them."""
    dice = random.Random(5)
    now = datetime.now(UTC)
    for number in range(VISITS_PER_PERSON):
        at = now - timedelta(hours=8 * (VISITS_PER_PERSON - number), minutes=5)
        for user_id in user_ids:
            posts = [post.post_id for post in dice.sample(world.posts, 10)]
            yield show(world, Visit(at, world.person_of[user_id]), Page(None, posts, None), scene="home")


@contextmanager
def opened(
    browser: Browser, size: ViewportSize = DESK, scheme: Scheme = "light", language: str = "en-GB"
) -> Iterator[BrowserPage]:
    """A page of a fresh browser profile; leaving it, nothing may have gone wrong in the console."""
    context = browser.new_context(viewport=size, color_scheme=scheme, locale=language)
    page = context.new_page()
    wrong: list[str] = []
    page.on("console", lambda message: wrong.append(message.text) if message.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: wrong.append(str(error)))
    yield page
    context.close()
    assert wrong == []


def broken_rules(page: BrowserPage) -> list[tuple[str, list[str]]]:
    """What axe finds wrong: contrast, names, roles; with the first places of each."""
    found = Axe().run(page).response["violations"]
    return [(one["id"], [node["html"][:120] for node in one["nodes"][:3]]) for one in found]


def save_picture(page: BrowserPage, name: str) -> None:
    """What is seen, for the documents, once its pictures are there; few colours keep the file small."""
    at = "one.getBoundingClientRect()"  # one that is loaded when it is scrolled to would never be there
    seen = f"[...document.images].filter(one => {at}.top < innerHeight && {at}.left < innerWidth)"
    page.evaluate(f"Promise.all({seen}.map(one => one.decode().catch(() => null)))")
    Image.open(io.BytesIO(page.screenshot())).convert("RGB").quantize(128).save(PICTURES / f"{name}.png", optimize=True)


def overflow(page: BrowserPage) -> int:
    """Pixels by which the page is wider than its window."""
    return int(page.evaluate("document.documentElement.scrollWidth - innerWidth"))


@pytest.fixture(scope="module")  # Playwright keeps an event loop running, which tests of other modules must not meet
def browser() -> Iterator[Browser]:
    """Chromium of the system, else the one Playwright has installed."""
    with sync_playwright() as playwright:
        path = CHROMIUM if CHROMIUM.exists() else Path(playwright.chromium.executable_path)
        if not path.exists():
            pytest.skip("no Chromium: apt-get install chromium, or playwright install chromium")
        browser = playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])
        yield browser
        browser.close()
