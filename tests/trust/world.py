"""A small service to break: its own PostgreSQL and Valkey, posts, people, a generation, and the API in a process."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psycopg
from pydantic import SecretStr

from app.candidates.reindex import run_reindex
from app.settings import Settings
from app.storage.servers import HOST, free_port
from app.storage.stores import open_stores
from tests.candidates.worlds import fill
from tests.conftest import SMALL_PLAN
from tests.toy_world import ToyWorld
from tests.trust.children import ApiChild, StoreChild, database_url, ended, postgres_in, redis_url, valkey_in
from tests.trust.load import Client

WORLD = ToyWorld(posts_count=60, users_count=24, showings_each=12)
KEYS = {role: f"{role}-key-of-the-scoreboard" for role in ("client", "ops", "admin")}


@dataclass
class Broken:
    """What the tests break."""

    postgres: StoreChild
    valkey: StoreChild
    api: ApiChild

    def client(self, role: str = "client") -> Client:
        """A client with the key of a role."""
        return Client(HOST, self.api.settings.port, KEYS[role])

    def event_ids(self, prefix: str) -> list[str]:
        """Ids of the exposures in PostgreSQL that begin so."""
        with psycopg.connect(database_url(self.postgres.port)) as connection:
            query = "SELECT exposure_id FROM exposures WHERE starts_with(exposure_id, %s)"
            return [str(one) for (one,) in connection.execute(query, [prefix])]


@contextlib.contextmanager
def broken_world(folder: Path, *, workers: int = 1) -> Iterator[Broken]:
    """All of it, running; killed at the end."""
    postgres, valkey = postgres_in(folder / "postgres"), valkey_in(folder / "valkey")
    plan = folder / "plan.toml"
    plan.write_text(SMALL_PLAN)
    settings = Settings(
        home=folder / "home",
        database_url=SecretStr(database_url(postgres.port)),
        redis_url=SecretStr(redis_url(valkey.port)),
        port=free_port(None),
        plan=plan,
        threads=1,
        workers=workers,
        log_level="WARNING",
    )
    api = ApiChild(settings, KEYS)
    with ended(api, postgres, valkey):
        postgres.start()
        valkey.start()
        asyncio.run(_filled(settings))
        api.start()
        yield Broken(postgres, valkey, api)


async def _filled(settings: Settings) -> None:
    async with open_stores(settings) as stores:
        await fill(stores, WORLD, pictures=False)
        await run_reindex(stores, requested_by="test")
