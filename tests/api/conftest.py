"""The application in this process over real stores, with a key of each role and a small catalogue."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import httpx
import psycopg
import pytest
from fastapi import FastAPI
from sqlalchemy import make_url

from app.api.state import STATE, ApiState
from app.candidates.reindex import run_reindex
from app.domain import Role
from app.intake.posts import PostRecord, save_posts
from app.main import create_app
from app.settings import Settings
from app.storage.keys import create_key
from app.storage.stores import Stores

Caller = Callable[[Role | None], httpx.AsyncClient]
CATALOGUE = [
    PostRecord(post_id=f"p{number}", title=f"海鲜面 {number}", category=category, author_id=f"a{number}")
    for number, category in enumerate(["food", "food", "travel", "travel", "leisure"])
]


@pytest.fixture
def settings(settings: Settings, small_plan: Path) -> Settings:
    return settings.model_copy(update={"plan": small_plan})


@pytest.fixture
def free_port() -> int:
    """A port on which nobody listens."""
    with socket.create_server(("127.0.0.1", 0)) as free:
        port: int = free.getsockname()[1]
        return port


@pytest.fixture
async def app(stores: Stores) -> AsyncIterator[FastAPI]:
    app = create_app(stores)
    async with app.router.lifespan_context(app):
        yield app


@pytest.fixture
async def secrets(stores: Stores) -> dict[Role, str]:
    return {role: (await create_key(stores.database, role=role, name="test")).secret for role in Role}


@pytest.fixture
async def caller(app: FastAPI, secrets: dict[Role, str]) -> AsyncIterator[Caller]:
    """A client with the key of a role, or with none."""
    clients = {
        role: httpx.AsyncClient(
            transport=httpx.ASGITransport(app),
            base_url="http://tuwen",
            headers={"Authorization": f"Bearer {secrets[role]}"} if role else {},
        )
        for role in (None, *Role)
    }
    yield clients.__getitem__
    for one in clients.values():
        await one.aclose()


@pytest.fixture
def cut_off(server: psycopg.Connection, database_url: str) -> Callable[[], None]:
    """Lets PostgreSQL refuse this test's database from the call on."""

    def refuse() -> None:
        name = make_url(database_url).database
        server.execute(f"ALTER DATABASE {name} WITH ALLOW_CONNECTIONS false")
        server.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = %s", [name])

    return refuse


@pytest.fixture
def client(caller: Caller) -> httpx.AsyncClient:
    return caller(Role.CLIENT)


@pytest.fixture
def ops(caller: Caller) -> httpx.AsyncClient:
    return caller(Role.OPS)


@pytest.fixture
def admin(caller: Caller) -> httpx.AsyncClient:
    return caller(Role.ADMIN)


@pytest.fixture
def state(app: FastAPI) -> ApiState:
    state: ApiState = getattr(app.state, STATE)
    return state


@pytest.fixture
async def generation(stores: Stores, state: ApiState) -> str:
    """A small catalogue, encoded by small networks and serving."""
    await save_posts(stores, CATALOGUE)
    generation = await run_reindex(stores, requested_by="test")
    await state.candidates.refresh()
    return generation
