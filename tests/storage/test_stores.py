import asyncio
from urllib.parse import urlsplit

import pytest
from sqlalchemy import make_url, text

from app.errors import Unavailable
from app.storage.cache import Cache
from app.storage.postgres import async_engine, ping, transaction
from tests.trust.proxy import CUT_WITHIN_SECONDS, link_to

pytestmark = pytest.mark.anyio


async def test_open_stores_have_the_schema_and_a_cache_that_answers(stores):
    async with transaction(stores.database) as connection:
        posts = (await connection.execute(text("SELECT count(*) FROM posts"))).scalar_one()
    async with stores.cache.use() as client:
        pong = await client.ping()

    assert (posts, pong) == (0, True)
    assert stores.settings.pictures.is_dir()


@pytest.mark.parametrize("turn", ["first", "second"])
async def test_every_test_starts_with_empty_stores(stores, turn):
    async with transaction(stores.database) as connection:
        before = (await connection.execute(text("SELECT count(*) FROM users"))).scalar_one()
        await connection.execute(text("INSERT INTO users (user_id) VALUES ('u1')"))
    async with stores.cache.use() as client:
        keys_before = await client.dbsize()
        await client.set("left", "over")

    assert (before, keys_before) == (0, 0)


async def test_a_statement_on_a_link_that_leads_nowhere_ends_and_the_next_one_is_answered(addresses):
    address = make_url(addresses.database_url)
    with link_to(address.port) as link:
        url = address.set(port=link.port).render_as_string(hide_password=False)
        database = async_engine(url, statement_timeout_seconds=0.2, pool_size=1)
        await ping(database)

        link.become("half-open")
        with pytest.raises(Unavailable):
            await asyncio.wait_for(ping(database), 10)
        link.become("whole")

        await ping(database)
        await database.dispose()


async def test_a_kept_connection_to_valkey_that_was_cut_while_idle_costs_no_answer(addresses):
    port = urlsplit(addresses.redis_url).port
    with link_to(port) as link:
        cache = Cache(addresses.redis_url.replace(f":{port}", f":{link.port}"), timeout_seconds=1, naming_key=b"")
        async with cache.use() as client:
            await client.ping()

        link.become("cut")
        await asyncio.sleep(2 * CUT_WITHIN_SECONDS)
        link.become("whole")

        async with cache.use() as client:
            assert await client.ping()
        await cache.close()
