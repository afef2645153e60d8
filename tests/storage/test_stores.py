import pytest
from sqlalchemy import text

from app.storage.postgres import transaction

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
