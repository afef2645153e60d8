"""Row 18: very many ask at once for people whom the cache does not know; PostgreSQL is asked once for each."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Iterator

import httpx
import pytest
from sqlalchemy import event

from app.candidates.reindex import run_reindex
from app.domain import Role
from app.main import create_app
from app.settings import Settings
from app.storage.keys import create_key
from app.storage.stores import Stores
from app.storage.user_state import load_user_state
from tests.intake.records import given_posts
from tests.storage.logbook import Logbook
from tests.trust.figures import Row

pytestmark = pytest.mark.anyio
ARRIVING_SECONDS = 0.05  # some ask before a load, some during it, some just after it
Asked = Counter[tuple[str, str]]


@pytest.fixture
def settings(settings: Settings, small_plan) -> Settings:
    return settings.model_copy(update={"plan": small_plan})


@pytest.fixture
def asked(stores: Stores) -> Iterator[Asked]:
    """How often PostgreSQL was asked each statement for each user."""
    counts: Asked = Counter()

    def count(_connection, _cursor, statement, parameters, _context, _is_many) -> None:
        if "user_id" in parameters:
            counts[statement, parameters["user_id"]] += 1

    event.listen(stores.database.sync_engine, "before_cursor_execute", count)
    yield counts
    event.remove(stores.database.sync_engine, "before_cursor_execute", count)


async def shown_one_post(stores: Stores, *user_ids: str) -> None:
    await given_posts(stores, "seen", "new")
    log = Logbook(stores)
    for user_id in user_ids:
        log.shown(user_id, "seen", 0)
    await log.write()


@pytest.mark.trust(18)
async def test_a_cold_user_is_loaded_once_however_many_ask(stores: Stores, asked: Asked, row: Row, at_full):
    requests, users, chance = at_full(250, 500), at_full(4, 100), random.Random(18)
    await shown_one_post(stores, *(f"cold-{number}" for number in range(users)))
    asked.clear()

    async def is_whole(user_id: str) -> bool:
        await asyncio.sleep(chance.uniform(0, ARRIVING_SECONDS))
        loaded = await load_user_state(stores, user_id)
        return not loaded.degraded and loaded.state.seen == {"seen"}

    whole = [
        one
        for number in range(users)
        for one in await asyncio.gather(*(is_whole(f"cold-{number}") for _ in range(requests)))
    ]

    row.done = f"{users} times {requests} requests within {1000 * ARRIVING_SECONDS:.0f} ms for one cold user"
    row.at_most(1, "loads of one user", max(asked.values()))
    row.none(answers_that_lack_something=len(whole) - sum(whole))


@pytest.mark.trust(18)
async def test_cold_users_who_ask_all_at_once_are_each_loaded_once(stores: Stores, asked: Asked, row: Row, at_full):
    users, each, chance = at_full(20, 500), 2, random.Random(18)
    await shown_one_post(stores, *(f"cold-{number}" for number in range(users)))
    await run_reindex(stores, requested_by="test")
    key = await create_key(stores.database, role=Role.CLIENT, name="test")
    app = create_app(stores)
    asked.clear()
    shed = 0

    async def posts_of(client: httpx.AsyncClient, user_id: str) -> list[str]:
        nonlocal shed
        longest = 1.0  # of the waits, in units of Retry-After: doubled each time, as clients do
        while (answer := await client.get("/recommend", params={"user_id": user_id})).status_code == 503:
            shed += 1
            longest *= 2
            await asyncio.sleep(float(answer.headers["Retry-After"]) * chance.uniform(0, longest))
        return [item["post_id"] for item in answer.raise_for_status().json()["items"]]

    headers = {"Authorization": f"Bearer {key.secret}"}
    transport = httpx.ASGITransport(app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport, base_url="http://tuwen", headers=headers) as client,
    ):
        pages = await asyncio.gather(*(posts_of(client, f"cold-{number % users}") for number in range(users * each)))

    row.done = f"{each} requests at once for each of {users} cold users, asked again when refused"
    row.at_most(1, "loads of one user", max(asked.values()))
    row.saw("refused at first", shed)
    row.none(pages_that_show_what_was_seen=sum("seen" in page for page in pages))
    assert {user_id for _, user_id in asked} == {f"cold-{number}" for number in range(users)}
