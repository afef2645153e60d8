"""A running service with a part of the demo catalogue, in a thread of its own, for a browser to look at."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import httpx
import psycopg
import pytest
import uvicorn
from playwright.sync_api import Browser, sync_playwright
from pydantic import SecretStr

from app.candidates.reindex import run_reindex
from app.intake.files import import_files
from app.main import create_app
from app.settings import Settings
from app.storage.embedded import Addresses
from app.storage.keys import bootstrap_keys
from app.storage.servers import free_port
from app.storage.stores import open_stores
from demo.files import DemoFiles, open_beginning, write_files
from demo.world import World
from tests.conftest import SMALL_PLAN, TEMPLATE

ADMIN_KEY = "the-admin-key-of-the-tests"
CLIENT_KEY = "the-client-key-of-the-tests"
POSTS = 96
START_SECONDS = 60
CHROMIUM = Path("/usr/bin/chromium")


@dataclass(frozen=True)
class Site:
    """Where the service listens and what it holds."""

    address: str
    world: World
    settings: Settings


@pytest.fixture(scope="module")
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
        ops_key=SecretStr("the-ops-key-of-the-tests"),
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
            app = create_app(stores)
            config = uvicorn.Config(app, port=self._settings.port, log_config=None, access_log=False)
            self._server = uvicorn.Server(config)
            self._ready.set()
            await self._server.serve()

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
