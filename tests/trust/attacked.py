"""A service as its own process, with keys of each role, a small catalogue and a generation: to be attacked."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import httpx
import psycopg
from pydantic import SecretStr

from app.candidates.reindex import run_reindex
from app.domain import Role
from app.intake.posts import PostRecord, save_posts
from app.settings import Settings, child_environment
from app.storage.embedded import Addresses
from app.storage.servers import free_port
from app.storage.stores import open_stores
from tests.conftest import SMALL_PLAN, TEMPLATE

ROOT = Path(__file__).parents[2]
START_SECONDS = 90
LISTENING = "0A"  # in /proc/net/tcp
KEYS = {role: f"planted-{role}-key-Zq9secret{number}" for number, role in enumerate(Role)}
_numbers = count(1)


@dataclass(frozen=True)
class Attacked:
    """The running service, and where to look at it from outside."""

    settings: Settings
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def address(self) -> str:
        return f"http://127.0.0.1:{self.settings.port}"

    @property
    def database_url(self) -> str:
        assert self.settings.database_url is not None
        return self.settings.database_url.get_secret_value()

    def client(self, role: Role | None, *, source: str = "127.0.0.1") -> httpx.Client:
        headers = {"Authorization": f"Bearer {KEYS[role]}"} if role else {}
        transport = httpx.HTTPTransport(local_address=source)
        return httpx.Client(base_url=self.address, headers=headers, transport=transport, timeout=30)

    def resident_bytes(self) -> int:
        pages = int(Path(f"/proc/{self.process.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE")

    def peak_bytes(self) -> int:
        """The most that it has ever held."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(status.partition("VmHWM:")[2].split()[0]) << 10

    def connections(self) -> int:
        """How many it has open; those that it has given up and only the kernel still knows are left out."""
        table = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
        own = [one for one in table if one[1].endswith(f":{self.settings.port:04X}")]
        return sum(state != LISTENING and inode != "0" for _, _, _, state, _, _, _, _, _, inode, *_ in own)

    def rows(self, statement: str) -> list[tuple[object, ...]]:
        with psycopg.connect(self.database_url) as connection:
            return connection.execute(statement).fetchall()


async def _prepare(settings: Settings) -> None:
    posts = [PostRecord(post_id=f"p{number}", title=f"海鲜面 {number}", category="food") for number in range(20)]
    async with open_stores(settings) as stores:
        await save_posts(stores, posts)
        await run_reindex(stores, requested_by="test")


@contextmanager
def attacked_service(
    addresses: Addresses, server: psycopg.Connection, home: Path, **chosen: object
) -> Iterator[Attacked]:
    """The service while the block runs, with some settings chosen."""
    name = f"attacked_{next(_numbers)}"
    server.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    (home / "plan.toml").write_text(SMALL_PLAN)
    settings = Settings(
        home=home / "home",
        plan=home / "plan.toml",
        port=free_port(None),
        database_url=SecretStr(addresses.database_url.rsplit("/", 1)[0] + "/" + name),
        redis_url=SecretStr(addresses.redis_url),
        redis_timeout_seconds=2,
    ).model_copy(update=chosen)
    asyncio.run(_prepare(settings))
    keys = {f"TUWEN_{role.upper()}_KEY": secret for role, secret in KEYS.items()}
    with (home / "service.log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", "app.cli", "serve"],
            env=child_environment(settings) | keys,
            cwd=ROOT,
            stdout=log,
            stderr=subprocess.STDOUT,
        )
    try:
        _wait_for(settings, process, home / "service.log")
        yield Attacked(settings, process, home / "service.log")
    finally:
        process.terminate()
        with suppress(subprocess.TimeoutExpired):
            process.wait(20)
        process.kill()
        process.wait()
        server.execute(f"DROP DATABASE {name} WITH (FORCE)")


def _wait_for(settings: Settings, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        assert process.poll() is None, log.read_text()
        with suppress(httpx.TransportError):
            if httpx.get(f"http://127.0.0.1:{settings.port}/health/ready").is_success:
                return
        time.sleep(0.1)
    raise AssertionError(log.read_text())
