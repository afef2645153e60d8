"""Settings -> everything the service keeps: the database, the cache and the pictures, open and of the newest schema."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from sqlalchemy.ext.asyncio import AsyncEngine

from app.errors import Unavailable
from app.settings import Settings
from app.storage.cache import Cache
from app.storage.embedded import Addresses, store_addresses
from app.storage.erased import KEY_FILE, ErasedUsers
from app.storage.migrate import migrate
from app.storage.own_key import own_key
from app.storage.pictures import PictureFolder
from app.storage.postgres import async_engine


@dataclass(frozen=True)
class Stores:
    """The open stores; what a function needs of them it takes from here."""

    database: AsyncEngine
    cache: Cache
    pictures: PictureFolder
    settings: Settings
    addresses: Addresses
    erased: ErasedUsers


@asynccontextmanager
async def open_stores(settings: Settings) -> AsyncIterator[Stores]:
    """Open the stores at the start of a process; waiting blocks the loop, which has nothing else to do yet.

    Raises Unavailable when PostgreSQL or the folder cannot be used. A Redis that is down is found out at its first use,
    and the service goes on without it.
    """
    _make_folders(settings)
    with store_addresses(settings) as addresses:
        migrate(addresses.database_url)
        database = async_engine(
            addresses.database_url, statement_timeout_seconds=settings.database_timeout_seconds, pool_size=8
        )
        own = own_key(settings.home, KEY_FILE)
        cache = Cache(addresses.redis_url, timeout_seconds=settings.redis_timeout_seconds, naming_key=own)
        try:
            yield Stores(database, cache, PictureFolder(settings.pictures), settings, addresses, ErasedUsers(own))
        finally:
            await cache.close()
            await database.dispose()


def _make_folders(settings: Settings) -> None:
    try:
        for folder in (settings.home, settings.pictures, settings.generations):
            folder.mkdir(parents=True, exist_ok=True)
    except OSError as problem:
        hint = "set TUWEN_HOME to a folder of yours"
        raise Unavailable(f"cannot write in {settings.home}: {problem.strerror}; {hint}") from None
