"""A backup and a restore against a PostgreSQL that answers nobody any more."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
from pydantic import SecretStr

from app.errors import BadInput, Unavailable
from app.settings import Settings
from app.storage.backup import back_up, restore
from app.storage.migrate import migrate
from tests.trust.children import StoreChild, database_url, ended, postgres_in, wait_until

LIMIT_SECONDS = 2
SOMEBODY_WAITS = "SELECT EXISTS (SELECT FROM pg_locks WHERE NOT granted)"


@pytest.fixture
def postgres(tmp_path: Path) -> Iterator[StoreChild]:
    """A PostgreSQL of its own, with tables and one person."""
    child = postgres_in(tmp_path / "postgres")
    with ended(child):
        child.start()
        migrate(database_url(child.port))
        with psycopg.connect(database_url(child.port)) as connection:
            connection.execute("INSERT INTO users (user_id) VALUES ('u1')")
        yield child


@pytest.fixture
def settings(settings: Settings, postgres: StoreChild) -> Settings:
    settings.pictures.mkdir(parents=True)
    settings.generations.mkdir()
    return settings.model_copy(update={"database_url": SecretStr(database_url(postgres.port))})


@pytest.fixture
def elsewhere(settings: Settings, postgres: StoreChild, tmp_path: Path) -> Settings:
    """Settings of an installation with tables and nothing in them, in the same server."""
    with psycopg.connect(database_url(postgres.port), autocommit=True) as connection:
        connection.execute("CREATE DATABASE elsewhere")
    url = database_url(postgres.port).rsplit("/", 1)[0] + "/elsewhere"
    migrate(url)
    return settings.model_copy(update={"home": tmp_path / "restored", "database_url": SecretStr(url)})


@contextmanager
def frozen_when_under_way(postgres: StoreChild, settings: Settings, lock: str, work: Callable[[], object]):
    """The work in a thread, begun while a table is locked; once it waits for the lock the server is frozen.

    The server goes on, and the lock is given back, when the block ends.
    """
    assert settings.database_url is not None
    with ThreadPoolExecutor(1) as pool, psycopg.connect(settings.database_url.get_secret_value()) as holder:
        holder.execute(f"LOCK TABLE users IN {lock} MODE")
        doing = pool.submit(work)
        wait_until(lambda: holder.execute(SOMEBODY_WAITS).fetchone() == (True,), "nobody waits for the lock")
        postgres.freeze()
        try:
            yield doing
        finally:
            postgres.thaw()


def test_a_backup_of_a_frozen_postgresql_fails_in_time_and_leaves_nothing(
    settings: Settings, postgres: StoreChild, tmp_path: Path
):
    postgres.freeze()

    with pytest.raises(Unavailable, match=r"pg_dump failed: .*timeout"):
        back_up(settings, tmp_path / "backup")

    assert list((tmp_path / "backup").iterdir()) == []


def test_a_backup_under_way_when_postgresql_freezes_fails_in_time_and_can_be_repeated(
    settings: Settings, postgres: StoreChild, tmp_path: Path
):
    folder = tmp_path / "backup"

    def work() -> object:
        return back_up(settings, folder, silence_seconds=LIMIT_SECONDS)

    with frozen_when_under_way(postgres, settings, "ACCESS EXCLUSIVE", work) as doing:
        with pytest.raises(Unavailable, match=r"pg_dump has got no further for 2 s.*check that PostgreSQL answers"):
            doing.result(30)
        left = list(folder.iterdir())
        with pytest.raises(BadInput, match="no whole backup"):
            restore(settings, folder)
    made = back_up(settings, folder)

    assert left == []
    assert made.dump_bytes > 0


def test_a_restore_under_way_when_postgresql_freezes_fails_in_time_and_can_be_repeated(
    settings: Settings, elsewhere: Settings, postgres: StoreChild, tmp_path: Path
):
    back_up(settings, tmp_path / "backup")

    def work() -> object:
        return restore(elsewhere, tmp_path / "backup", silence_seconds=LIMIT_SECONDS)

    is_told = pytest.raises(Unavailable, match="pg_restore has got no further for 2 s")
    with frozen_when_under_way(postgres, elsewhere, "ACCESS SHARE", work) as doing, is_told:
        doing.result(30)
    restore(elsewhere, tmp_path / "backup")

    assert elsewhere.database_url is not None
    with psycopg.connect(elsewhere.database_url.get_secret_value()) as connection:
        assert connection.execute("SELECT user_id FROM users").fetchall() == [("u1",)]
