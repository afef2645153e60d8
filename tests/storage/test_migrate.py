from __future__ import annotations

import threading

import psycopg
import pytest
from alembic import command

from app.errors import BadSettings, Unavailable
from app.storage.migrate import alembic_config, migrate
from app.storage.postgres import sync_engine, sync_transaction

OBJECTS = """
    SELECT relkind::text, relname, pg_get_expr(adbin, adrelid), attname, format_type(atttypid, atttypmod), attnotnull
    FROM pg_class JOIN pg_attribute ON attrelid = pg_class.oid
    LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
    WHERE relnamespace = 'public'::regnamespace AND attnum > 0 AND NOT attisdropped
        AND relname NOT LIKE 'alembic_version%'
    ORDER BY 1, 2, attnum"""


@pytest.fixture
def empty_database_url(addresses, server):
    server.execute("CREATE DATABASE empty_one")
    yield addresses.database_url.rsplit("/", 1)[0] + "/empty_one"
    server.execute("DROP DATABASE empty_one WITH (FORCE)")


def objects(database_url: str) -> list[tuple]:
    with psycopg.connect(database_url) as connection:
        return connection.execute(OBJECTS).fetchall()


def downgrade(database_url: str) -> None:
    engine = sync_engine(database_url)
    with sync_transaction(engine) as connection:
        command.downgrade(alembic_config(connection), "base")
    engine.dispose()


def test_migrations_go_up_down_and_up_again_to_the_same_schema(empty_database_url):
    migrate(empty_database_url)
    first = objects(empty_database_url)

    downgrade(empty_database_url)
    assert objects(empty_database_url) == []

    migrate(empty_database_url)
    assert objects(empty_database_url) == first
    assert "posts" in {row[1] for row in first}


def test_migrating_again_says_and_changes_nothing(database_url, capfd):
    before = objects(database_url)

    migrate(database_url)

    assert objects(database_url) == before
    assert capfd.readouterr() == ("", "")


def test_several_may_migrate_at_once(empty_database_url):
    failures: list[Exception] = []

    def run() -> None:
        try:
            migrate(empty_database_url)
        except Unavailable as failure:
            failures.append(failure)

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert objects(empty_database_url)


def test_a_database_of_a_newer_version_is_not_touched(database_url):
    with psycopg.connect(database_url) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")

    with pytest.raises(Unavailable, match="another version of Tuwen"):
        migrate(database_url)


def test_a_user_who_may_not_make_tables_is_told_so(empty_database_url, server):
    server.execute("CREATE ROLE reader LOGIN PASSWORD 'r'")
    address = empty_database_url.rpartition("@")[2]

    with pytest.raises(Unavailable, match="permission denied for schema public"):
        migrate(f"postgresql://reader:r@{address}")


def test_an_address_that_is_none_is_named_with_its_form():
    with pytest.raises(BadSettings, match="postgresql://user:password@host:port/database"):
        migrate("tuwen at home")
