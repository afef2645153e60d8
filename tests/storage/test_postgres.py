"""What an engine does with a server that is not there any more, and what its errors say."""

from __future__ import annotations

import ctypes
import os
import signal
import socket
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import Connection, text
from sqlalchemy.exc import DataError, IntegrityError

from app.errors import Unavailable
from app.storage.postgres import (
    LINK_LIMITS,
    SERVER_LINK_LIMITS,
    async_engine,
    driver_url,
    sync_engine,
    sync_transaction,
    transaction,
)

PLANTED = "planted-user-id"
DIVIDED = text("SELECT 1 / cast(:zero AS integer), cast(:user_id AS text)")
SO_ATTACH_FILTER = 26
KEEP_NO_BYTE = (ctypes.c_uint64 * 1)(0x06)  # of a packet: "return 0", the whole programme of the filter
SOON = "keepalives_idle=1&keepalives_interval=1&keepalives_count=2&tcp_user_timeout=2000"


class FilterProgramme(ctypes.Structure):
    """The kernel's `struct sock_fprog`."""

    _fields_ = [("length", ctypes.c_ushort), ("steps", ctypes.c_void_p)]


def link_of(connection: Connection) -> socket.socket:
    """The socket of a connection, as a copy."""
    return socket.socket(fileno=os.dup(connection.connection.driver_connection.pgconn.socket))


def let_nothing_in(connection: Connection) -> None:
    """Whatever the server sends from now on, acknowledgements too, never gets to this end of the connection."""
    programme = FilterProgramme(1, ctypes.addressof(KEEP_NO_BYTE))
    with link_of(connection) as link:
        link.setsockopt(socket.SOL_SOCKET, SO_ATTACH_FILTER, bytes(programme))


@contextmanager
def ends_within(seconds: float) -> Iterator[None]:
    began = time.monotonic()
    yield
    assert time.monotonic() - began < seconds


@pytest.mark.anyio
async def test_an_error_of_the_api_s_engine_says_nothing_of_what_the_statement_was_given(database_url: str) -> None:
    engine = async_engine(database_url, statement_timeout_seconds=5, pool_size=1)

    with pytest.raises(DataError) as error:
        async with transaction(engine) as connection:
            await connection.execute(DIVIDED, {"zero": 0, "user_id": PLANTED})
    await engine.dispose()

    assert "division by zero" in str(error.value)
    assert PLANTED not in str(error.value)


def test_an_error_of_the_trainer_s_engine_says_nothing_of_what_the_statement_was_given(database_url: str) -> None:
    engine = sync_engine(database_url)

    with pytest.raises(DataError) as error, sync_transaction(engine) as connection:
        connection.execute(DIVIDED, {"zero": 0, "user_id": PLANTED})
    engine.dispose()

    assert "division by zero" in str(error.value)
    assert PLANTED not in str(error.value)


def test_a_row_that_the_server_refuses_is_not_named_in_the_log(database_url: str) -> None:
    engine = sync_engine(database_url)
    twice = text("INSERT INTO users (user_id) VALUES (:user_id), (:user_id)")

    with pytest.raises(IntegrityError) as error, sync_transaction(engine) as connection:
        connection.execute(twice, {"user_id": PLANTED})
    engine.dispose()
    logged = "".join(traceback.format_exception(error.value))

    assert "duplicate key value violates unique constraint" in logged
    assert PLANTED not in logged


@pytest.mark.anyio
async def test_the_links_of_both_engines_have_limits_of_time(database_url: str) -> None:
    trainer, api = sync_engine(database_url), async_engine(database_url, statement_timeout_seconds=5, pool_size=1)

    async with api.connect() as one:
        with trainer.connect() as other:
            links = [await one.run_sync(link_of), link_of(other)]
    kept = [link.getsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE) for link in links]
    options = (socket.TCP_KEEPIDLE, socket.TCP_KEEPINTVL, socket.TCP_KEEPCNT, socket.TCP_USER_TIMEOUT)
    limits = [[link.getsockopt(socket.IPPROTO_TCP, one) for one in options] for link in links]
    for link in links:
        link.close()
    trainer.dispose()
    await api.dispose()

    assert kept == [1, 1]
    assert limits == [[int(limit) for limit in LINK_LIMITS.values()]] * 2


@pytest.mark.anyio
async def test_the_server_gives_up_links_that_lead_nowhere_too(database_url: str) -> None:
    trainer, api = sync_engine(database_url), async_engine(database_url, statement_timeout_seconds=5, pool_size=1)
    wanted = dict(limit.split("=") for limit in SERVER_LINK_LIMITS)
    asked = text("SELECT name, setting FROM pg_settings WHERE name = ANY(:names)").bindparams(names=list(wanted))

    async with api.connect() as one:
        of_api = {row.name: row.setting for row in await one.execute(asked)}
    with trainer.connect() as other:
        of_trainer = {row.name: row.setting for row in other.execute(asked)}
    trainer.dispose()
    await api.dispose()

    assert of_api == of_trainer == wanted


def test_a_limit_that_the_address_names_counts() -> None:
    url = driver_url("postgresql://u@h/d?keepalives_idle=7&sslmode=require")

    assert url.query == LINK_LIMITS | {"keepalives_idle": "7", "sslmode": "require"}


def ask_nowhere(connection: Connection) -> None:
    let_nothing_in(connection)
    connection.execute(text("SELECT 1"))


def ask_and_lose(connection: Connection) -> None:
    """The statement has arrived and is under way when the link ends."""
    threading.Timer(0.5, let_nothing_in, [connection]).start()
    connection.execute(text("SELECT pg_sleep(30)"))


@pytest.mark.parametrize("ask", [ask_nowhere, ask_and_lose])
def test_the_trainer_is_told_of_a_link_that_leads_nowhere(database_url: str, ask: Callable[[Connection], None]) -> None:
    engine = sync_engine(f"{database_url}?{SOON}")

    with ends_within(20), pytest.raises(Unavailable), sync_transaction(engine) as connection:
        ask(connection)
    engine.dispose()


def test_the_trainer_does_not_wait_for_a_frozen_server_for_ever_and_goes_on_once_it_is_whole(database_url: str) -> None:
    engine = sync_engine(database_url, statement_timeout_seconds=0.5)
    with ends_within(10), pytest.raises(Unavailable), sync_transaction(engine) as connection:
        ask_while_frozen(connection)

    with sync_transaction(engine) as connection:
        assert connection.execute(text("SELECT 'whole'")).scalar_one() == "whole"
    engine.dispose()


def ask_while_frozen(connection: Connection) -> None:
    """The server's process for this connection is stopped before it is asked."""
    backend = connection.execute(text("SELECT pg_backend_pid()")).scalar_one()
    os.kill(backend, signal.SIGSTOP)
    try:
        connection.execute(text("SELECT 1"))
    finally:
        os.kill(backend, signal.SIGCONT)


def test_a_long_statement_on_a_good_link_is_waited_for(database_url: str) -> None:
    engine = sync_engine(f"{database_url}?{SOON}")

    with sync_transaction(engine) as connection:
        answer = connection.execute(text("SELECT 'done' FROM pg_sleep(3)")).scalar_one()
    engine.dispose()

    assert answer == "done"
