"""Row 30: with something in every table a database goes down to the first schema and up while it is written to."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

import psycopg
import pytest
from alembic import command

from app.candidates.reindex import run_reindex
from app.domain import NOT_INTERESTED, Role
from app.intake.batches import take_in
from app.intake.events import save_behaviours, save_exposures
from app.intake.posts import set_pinned
from app.intake.users import UserRecord, erase_user, save_users
from app.settings import Settings
from app.storage.audit import Change, write_audit
from app.storage.experiments import Arm, end_experiment, start_experiment
from app.storage.keys import create_key
from app.storage.migrate import alembic_config, migrate
from app.storage.peers import refresh_peers
from app.storage.postgres import sync_engine, sync_transaction
from app.storage.scenes import put_scene
from app.storage.stores import Stores
from app.storage.trace import Trace
from tests.candidates.worlds import fill
from tests.intake.records import behaviour, exposure
from tests.storage.test_migrate import objects
from tests.toy_world import ToyWorld
from tests.trust.children import wait_until
from tests.trust.figures import Row

FIRST = "0001"
Columns = dict[str, list[str]]  # by table
WRITER = "of-the-first-schema"
# One batch as the first schema knows it: all in one transaction, in this order.
BATCH = (
    "SELECT post_id FROM posts WHERE post_id = ANY(ARRAY['p1', 'p2'])",
    f"INSERT INTO exposures (exposure_id, user_id, post_id, shown_at) VALUES (%(id)s, '{WRITER}', 'p1', now())",
    "INSERT INTO behaviours (behaviour_id, user_id, post_id, kind, at, exposure_id)"
    f" VALUES (%(id)s, '{WRITER}', 'p1', 'like', now(), %(id)s)",
    f"INSERT INTO users (user_id) VALUES ('{WRITER}') ON CONFLICT DO NOTHING",
)


@pytest.fixture
def settings(settings: Settings, small_plan: Path) -> Settings:
    return settings.model_copy(update={"plan": small_plan})


async def fill_every_table(stores: Stores, world: ToyWorld) -> None:
    """Something in every table and in every column that a migration has added, by the product's own ways."""
    await fill(stores, world)
    await save_users(stores, [UserRecord(user_id="u2", personalised=False)])
    await put_scene(stores.database, "home", {"diversity": 0.4})
    arms = [Arm("as-before", 0.5, {}), Arm("varied", 0.5, {"diversity": 0.4})]
    await start_experiment(stores.database, "variety", scene="home", arms=arms)
    told = Trace(experiment="variety", arm="varied", share=0.02, pool=10).new_id()
    await save_exposures(stores, [exposure(exposure_id="traced", recommendation_id=told)])
    await end_experiment(stores.database, "variety")
    await save_behaviours(stores, [behaviour(NOT_INTERESTED, exposure_id="traced")])
    await set_pinned(stores, "p5", pinned=True)
    await take_in(stores, "exposure", [{"user_id": "u1"}], source="a-key")
    change = Change("a-key", "PATCH", "p5", before={"pinned": False}, after={"pinned": True}, request_id="r-1")
    await write_audit(stores.database, change)
    await create_key(stores.database, role=Role.OPS, name="kept")
    await erase_user(stores, "u3", actor="test")
    await refresh_peers(stores.database)
    await run_reindex(stores, requested_by="test")


def many_events(database_url: str, count: int) -> None:
    """So many showings and behaviours more, so that a change which rewrites their tables takes its time."""
    with psycopg.connect(database_url) as connection:
        connection.execute(
            "INSERT INTO exposures (exposure_id, user_id, post_id, shown_at)"
            " SELECT 'e' || n, 'u' || n %% 100, 'p' || n %% 100, now() FROM generate_series(1, %s) n",
            [count],
        )
        connection.execute(
            "INSERT INTO behaviours (behaviour_id, user_id, post_id, kind, at)"
            " SELECT 'b' || n, 'u' || n %% 100, 'p' || n %% 100, 'like', now() FROM generate_series(1, %s) n",
            [count],
        )


def columns_of(database_url: str) -> Columns:
    found: Columns = {}
    for kind, table, _, column, *_ in objects(database_url):
        if kind == "r":
            found.setdefault(table, []).append(column)
    return found


def fullness(database_url: str, columns: Columns) -> dict[tuple[str, str], int]:
    """How many rows have something in a column, by table and column."""
    with psycopg.connect(database_url) as connection:
        counts = {
            table: connection.execute(f"SELECT {', '.join(f'count({one})' for one in names)} FROM {table}").fetchone()
            for table, names in columns.items()
        }
    return {(table, one): count for table in columns for one, count in zip(columns[table], counts[table], strict=True)}


def digests(database_url: str, columns: Columns) -> dict[str, tuple[int, str]]:
    """The number of rows of each table and a digest of these columns, without what is written meanwhile."""
    found = {}
    with psycopg.connect(database_url) as connection:
        for table, names in columns.items():
            others = f"WHERE user_id <> '{WRITER}'" if "user_id" in names else ""
            rows = f"(SELECT row({', '.join(names)})::text AS one FROM {table} {others}) AS rows"
            query = f"SELECT count(*), md5(string_agg(one, ' ' ORDER BY one)) FROM {rows}"
            found[table] = connection.execute(query).fetchone()
    return found


def down(database_url: str) -> None:
    engine = sync_engine(database_url)
    with sync_transaction(engine) as connection:
        command.downgrade(alembic_config(connection), FIRST)
    engine.dispose()


@dataclass
class Batches:
    """What became of the batches of the first schema's statements."""

    waits: list[float] = field(default_factory=list)  # seconds of those that were written
    failures: list[str] = field(default_factory=list)


@contextmanager
def written_to(database_url: str) -> Iterator[Batches]:
    """Batch after batch of the first schema's statements, from before the block until it ends."""
    over, batches = threading.Event(), Batches()

    def write() -> None:
        with psycopg.connect(database_url, autocommit=True) as connection:
            while not over.is_set():
                began, event_id = time.monotonic(), uuid4().hex
                try:
                    with connection.transaction():
                        for statement in BATCH:
                            connection.execute(statement, {"id": event_id})
                    batches.waits.append(time.monotonic() - began)
                except psycopg.Error as failure:
                    batches.failures.append(str(failure))

    writer = threading.Thread(target=write)
    writer.start()
    wait_until(lambda: bool(batches.waits), "no batch was written")
    try:
        yield batches
    finally:
        over.set()
        writer.join()


@pytest.mark.trust(30)
@pytest.mark.anyio
async def test_migrations_keep_what_is_there_while_statements_of_the_first_schema_go_on(
    stores: Stores, database_url: str, empty_database_url: str, row: Row, at_full: Callable[[int, int], int]
) -> None:
    events, newest = at_full(3_000, 200_000), objects(database_url)
    await fill_every_table(stores, ToyWorld(users_count=20, showings_each=15))
    await asyncio.to_thread(many_events, database_url, events)
    await asyncio.to_thread(migrate, empty_database_url, revision=FIRST)
    first, all_columns = columns_of(empty_database_url), columns_of(database_url)
    full, before = fullness(database_url, all_columns), digests(database_url, first)
    added = [key for key in full if key[1] not in first.get(key[0], ())]

    with written_to(database_url) as batches_down:
        await asyncio.to_thread(down, database_url)
    are_down = columns_of(database_url) == first
    below = digests(database_url, first)
    with written_to(database_url) as batches_up:
        await asyncio.to_thread(migrate, database_url)
    after = digests(database_url, first)

    written = len(batches_down.waits), len(batches_up.waits)
    row.done = (
        f"something in all {len(all_columns)} tables, and {events} showings and behaviours more, taken down to the "
        f"first schema ({len(added)} columns less) and up again while batches of its statements are written"
    )
    row.none(added_columns_that_were_empty=sum(not full[key] for key in added))
    row.none(
        tables_that_were_empty=sum(not any(full[table, one] for one in all_columns[table]) for table in all_columns)
    )
    row.none(tables_that_differ=sum(len({before[table], below[table], after[table]}) > 1 for table in first))
    row.none(schema_differs=int(objects(database_url) != newest))
    failed = len(batches_down.failures + batches_up.failures)
    row.none(batches_of_first_schema_statements_that_failed=failed)
    row.at_least(2, "batches on either way, the first before it", min(written))
    row.at_most(2, "longest wait of one", max(batches_down.waits + batches_up.waits), "s")
    assert are_down
