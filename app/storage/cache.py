"""Redis/Valkey: only what can be rebuilt, and nobody by name. Short time limits; a breaker skips a dead server."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from hashlib import blake2b

from redis.asyncio import BlockingConnectionPool, Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as LostConnection
from redis.exceptions import RedisError

from app.errors import BadSettings, Unavailable
from app.tracing import span

PAUSE_AFTER_FAILURE_SECONDS = 1.0
NAME_BYTES = 16
CONNECTIONS_AT_MOST = 32  # whoever comes in a crowd waits a moment for one: the server is not down


class Cache:
    """A client with time limits; after a failure every use fails at once for a moment instead of waiting again.

    A kept connection may have been cut while nobody used it, which only its use shows: then a new one is tried at once.
    No time limit is tried twice. Whoever writes an entry of a person names it by `name_of`.
    """

    def __init__(self, url: str, *, timeout_seconds: float, naming_key: bytes) -> None:
        if not url.startswith(("redis://", "rediss://", "unix://")):
            raise BadSettings("TUWEN_REDIS_URL: write redis://:password@host:port/0")
        pool = BlockingConnectionPool.from_url(
            url,
            max_connections=CONNECTIONS_AT_MOST,
            timeout=timeout_seconds,
            socket_timeout=timeout_seconds,
            socket_connect_timeout=timeout_seconds,
            retry=Retry(NoBackoff(), 1, supported_errors=(LostConnection,)),
            retry_on_error=[RuntimeError],  # of uvloop, for a cut link
        )
        self._client: Redis = Redis.from_pool(pool)
        self._closed_until = 0.0  # monotonic seconds
        self._naming_key = naming_key

    @property
    def available(self) -> bool:
        """Whether the next use would be tried at all."""
        return time.monotonic() >= self._closed_until

    def name_of(self, user_id: str) -> str:
        """What stands for a person here, hex: an entry made for an erased id, or a late word about one, names nobody.

        It is keyed, because ids can be guessed.
        """
        content = user_id.encode("utf-8", "surrogatepass")
        return blake2b(content, key=self._naming_key, digest_size=NAME_BYTES).hexdigest()

    @asynccontextmanager
    async def use(self) -> AsyncIterator[Redis]:
        """The client for a few commands. Raises Unavailable when the server does not answer in time."""
        if not self.available:
            raise Unavailable("Redis did not answer a moment ago", store="cache")
        with span("redis"):
            try:
                yield self._client
            except (RedisError, OSError, TimeoutError, RuntimeError) as error:
                self._closed_until = time.monotonic() + PAUSE_AFTER_FAILURE_SECONDS
                raise Unavailable(
                    "Redis cannot be reached: check that it runs and TUWEN_REDIS_URL", store="cache"
                ) from error

    async def close(self) -> None:
        """Close the connections."""
        await self._client.aclose()
