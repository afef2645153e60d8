"""Real stores for the tests: embedded PostgreSQL and Valkey once per session, an empty migrated database per test."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import psycopg
import pytest
import redis
from pydantic import SecretStr

from app.candidates.encode import use_threads
from app.settings import Settings
from app.storage.embedded import Addresses, store_addresses
from app.storage.migrate import migrate
from app.storage.stores import Stores, open_stores

TEMPLATE = "template_of_tests"
database_numbers = count(1)


def pytest_addoption(parser: pytest.Parser) -> None:
    """Of the browser tests, and of the scoreboard in tests/trust."""
    parser.addoption("--pictures", action="store_true", help="save what browser tests see into docs/pictures")
    parser.addoption("--trust-full", action="store_true", help="the full counts of `make trust`")
    parser.addoption("--trust-figures", metavar="FILE", help="append what the scoreboard's rows measured")
    parser.addoption("--trust-rows", metavar="N,N", help="only the tests of these rows of the scoreboard")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave only the tests of the rows that were asked for."""
    if not config.getoption("--trust-rows"):
        return
    wanted = {int(number) for number in config.getoption("--trust-rows").split(",")}
    marked = [(item, item.get_closest_marker("trust")) for item in items]
    items[:] = [item for item, marker in marked if marker is not None and int(marker.args[0]) in wanted]


@pytest.fixture(scope="session")
def pictures(request: pytest.FixtureRequest) -> bool:
    """Whether what browser tests see is to be saved for the documents."""
    return bool(request.config.getoption("--pictures"))


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> Iterator[None]:
    """Tests compute next to nothing; threads that wait for each other on a busy machine take 100 times as long."""
    use_threads(1)
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("TUWEN_THREADS", "1")
        yield


@pytest.fixture(scope="session")
def addresses(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Addresses]:
    """The session's own servers, in a folder of its own."""
    home = tmp_path_factory.mktemp("stores")
    with store_addresses(Settings(home=home, database_url=None, redis_url=None)) as addresses:
        yield addresses


@pytest.fixture(scope="session")
def server(addresses: Addresses) -> Iterator[psycopg.Connection]:
    """A connection for making and dropping databases. No test outlives a power cut: nothing waits for the disk."""
    with psycopg.connect(addresses.database_url, autocommit=True) as connection:
        connection.execute("ALTER SYSTEM SET fsync = off")
        connection.execute("SELECT pg_reload_conf()")
        connection.execute(f"CREATE DATABASE {TEMPLATE}")
        migrate(_with_database(addresses, TEMPLATE))
        yield connection


@pytest.fixture
def database_url(addresses: Addresses, server: psycopg.Connection) -> Iterator[str]:
    """Address of a database with the newest schema and nothing in it."""
    name = f"test_{next(database_numbers)}"
    server.execute(f"CREATE DATABASE {name} TEMPLATE {TEMPLATE}")
    yield _with_database(addresses, name)
    server.execute(f"DROP DATABASE {name} WITH (FORCE)")


@pytest.fixture
def redis_url(addresses: Addresses) -> str:
    """Address of an empty Valkey."""
    with redis.Redis.from_url(addresses.redis_url) as client:
        client.flushdb()
    return addresses.redis_url


@pytest.fixture
def settings(tmp_path, database_url: str, redis_url: str) -> Settings:
    """Settings of a service with empty stores and an empty home."""
    return Settings(
        home=tmp_path / "home",
        database_url=SecretStr(database_url),
        redis_url=SecretStr(redis_url),
        redis_timeout_seconds=2,  # a loaded test machine is not a broken Valkey
        recommend_patience_seconds=1.5,
        drain_seconds=0,
    )


SMALL_PLAN = """
[training]
epochs = 3
batch_samples = 128
learning_rate = 0.003
warmup_steps = 5
checkpoint_steps = 5
[network]
picture_backbone = "patches"
title_backbone = "hashed-pieces"
width = 32
heads = 2
semantic_width = 32
"""


@pytest.fixture
def small_plan(tmp_path) -> Path:
    """A training plan for the toy world: small networks on backbones that need no loading."""
    file = tmp_path / "plan.toml"
    file.write_text(SMALL_PLAN)
    return file


@pytest.fixture
async def stores(settings: Settings, anyio_backend: str) -> AsyncIterator[Stores]:
    async with open_stores(settings) as stores:
        yield stores


def _with_database(addresses: Addresses, name: str) -> str:
    return addresses.database_url.rsplit("/", 1)[0] + "/" + name
