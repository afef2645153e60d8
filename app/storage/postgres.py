"""Database address -> engines with time limits; failures of the server become `Unavailable`."""

from __future__ import annotations

import asyncio
import os
import socket
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from functools import partial
from typing import Any, TypeVar

import psycopg
from psycopg.abc import PQGen
from sqlalchemy import Connection, Engine, create_engine, event, text
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from app.errors import BadSettings, Unavailable
from app.settings import LONGEST_STATEMENT_SECONDS
from app.tracing import span

SyncEngine = Engine  # the name outside storage, where SQLAlchemy is not known
CONNECT_TIMEOUT_SECONDS = 3
SILENCE_SECONDS = 1.0  # beyond the time limit of a statement, at which a server that is there says something
# The kernel gives up a link that leads nowhere after a minute, however long a statement may take.
LINK_LIMITS = {
    "keepalives_idle": "30",  # seconds
    "keepalives_interval": "10",
    "keepalives_count": "3",
    "tcp_user_timeout": "60000",  # milliseconds
}
# And so does the server's: a transaction whose client is out of reach would keep its locks for hours.
SERVER_LINK_LIMITS = (
    "tcp_keepalives_idle=30",
    "tcp_keepalives_interval=10",
    "tcp_keepalives_count=3",
    "tcp_user_timeout=60000",
)
Result = TypeVar("Result")
UNREACHABLE = "PostgreSQL cannot be reached: check that it runs and that TUWEN_DATABASE_URL is right"


def driver_url(url: str) -> URL:
    """`postgresql://…` as SQLAlchemy's address with the psycopg driver, which serves sync and async.

    It has the limits of the link, where the address does not say others.
    """
    try:
        parsed = make_url(url)
    except ArgumentError:
        raise BadSettings("TUWEN_DATABASE_URL: write postgresql://user:password@host:port/database") from None
    if parsed.get_backend_name() not in {"postgresql", "postgres"}:
        raise BadSettings("TUWEN_DATABASE_URL: only postgresql:// is supported")
    return parsed.set(drivername="postgresql+psycopg", query=LINK_LIMITS | dict(parsed.query))


def _connect_arguments(statement_timeout_seconds: float) -> dict[str, object]:
    options = "-c timezone=UTC -c synchronous_commit=on" + "".join(f" -c {limit}" for limit in SERVER_LINK_LIMITS)
    options += f" -c statement_timeout={int(statement_timeout_seconds * 1000)}"
    return {"connect_timeout": CONNECT_TIMEOUT_SECONDS, "options": options}


class _LimitedConnection(psycopg.AsyncConnection[Any]):
    """Hangs up on a server that says nothing for too long: a link may lead nowhere without ever being closed."""

    silence_seconds = 0.0

    async def wait(self, gen: PQGen[Result], *arguments: Any, **options: Any) -> Result:  # noqa: ANN401 (of psycopg)
        """What comes of one exchange with the server. Raises psycopg.OperationalError."""
        timer = asyncio.get_running_loop().call_later(self.silence_seconds, self._hang_up)
        try:
            return await super().wait(gen, *arguments, **options)
        finally:
            timer.cancel()

    def _hang_up(self) -> None:
        """Whoever waits is told at once that the connection has ended; closing it would tell nobody."""
        with socket.socket(fileno=os.dup(self.pgconn.socket)) as link:
            link.shutdown(socket.SHUT_RDWR)


class _LimitedSyncConnection(psycopg.Connection[Any]):
    """The same for the trainer."""

    silence_seconds = 0.0

    def wait(self, gen: PQGen[Result], *arguments: Any, **options: Any) -> Result:  # noqa: ANN401 (of psycopg)
        """What comes of one exchange with the server. Raises psycopg.OperationalError."""
        began = time.monotonic()
        try:
            return super().wait(gen, *arguments, **{"timeout": self.silence_seconds} | options)
        except psycopg.OperationalError:
            if time.monotonic() - began >= self.silence_seconds:
                self.pgconn.finish()  # what was asked may still be under way: nobody is to use this connection again
            raise


async def _connect(*arguments: Any, silence_seconds: float, **options: Any) -> _LimitedConnection:  # noqa: ANN401
    connection = await _LimitedConnection.connect(*arguments, **options)
    connection.silence_seconds = silence_seconds
    return connection


def async_engine(
    url: str, *, statement_timeout_seconds: float = LONGEST_STATEMENT_SECONDS, pool_size: int = 8
) -> AsyncEngine:
    """Engine of the API and of intake; batch work may take its time over a statement, requests of the API may not."""
    arguments = _connect_arguments(statement_timeout_seconds)
    silence_seconds = statement_timeout_seconds + SILENCE_SECONDS
    arguments["async_creator_fn"] = partial(_connect, silence_seconds=silence_seconds)
    return create_async_engine(
        driver_url(url),
        pool_size=pool_size,
        max_overflow=0,
        pool_timeout=CONNECT_TIMEOUT_SECONDS,
        pool_pre_ping=True,
        hide_parameters=True,  # errors are logged, and what a statement was given belongs to people
        connect_args=arguments,
    )


def sync_engine(url: str, *, statement_timeout_seconds: float = LONGEST_STATEMENT_SECONDS) -> Engine:
    """Engine of the trainer's log stream and of migrations."""
    engine = create_engine(
        driver_url(url),
        pool_size=2,
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args=_connect_arguments(statement_timeout_seconds),
    )

    @event.listens_for(engine, "do_connect")
    def connect(_dialect: object, _record: object, arguments: list[Any], options: dict[str, Any]) -> psycopg.Connection:
        connection = _LimitedSyncConnection.connect(*arguments, **options)
        connection.silence_seconds = statement_timeout_seconds + SILENCE_SECONDS
        return connection

    return engine


def _translate(error: DBAPIError | PoolTimeout | OSError) -> Exception:
    """`Unavailable` for what another try may mend; the error itself for what is wrong with the statement."""
    lost = isinstance(error, PoolTimeout | OSError | OperationalError) or getattr(
        error, "connection_invalidated", False
    )
    if lost:
        return Unavailable(UNREACHABLE, store="database")
    # The server's first line says what is wrong; the others quote the row, which is somebody's, and errors are logged.
    for told in (error, getattr(error, "orig", None) or error):
        told.args = tuple(str(words).partition("\n")[0] for words in told.args)
    return error


@asynccontextmanager
async def transaction(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """One transaction, committed on leaving. Raises Unavailable when the server cannot be used."""
    with span("postgresql"):
        try:
            async with engine.begin() as connection:
                yield connection
        except (DBAPIError, PoolTimeout, OSError) as error:
            raise _translate(error) from error


@asynccontextmanager
async def session(engine: AsyncEngine) -> AsyncIterator[AsyncConnection]:
    """A connection whose statements commit one by one; it ends on leaving, and with it all the locks that it holds.

    Raises Unavailable when the server cannot be used.
    """
    try:
        async with engine.execution_options(isolation_level="AUTOCOMMIT").connect() as connection:
            try:
                yield connection
            finally:
                await connection.invalidate()
    except (DBAPIError, PoolTimeout, OSError) as error:
        raise _translate(error) from error


async def ping(engine: AsyncEngine) -> None:
    """Ask the server for an answer. Raises Unavailable."""
    async with transaction(engine) as connection:
        await connection.execute(text("SELECT 1"))


@contextmanager
def sync_transaction(engine: Engine) -> Iterator[Connection]:
    """The same for the trainer."""
    with sync_connection(engine) as connection, connection.begin():
        yield connection


@contextmanager
def sync_connection(engine: Engine) -> Iterator[Connection]:
    """A connection whose user ends each transaction himself. Raises Unavailable when the server cannot be used."""
    try:
        with engine.connect() as connection:
            yield connection
    except (DBAPIError, PoolTimeout, OSError) as error:
        raise _translate(error) from error
