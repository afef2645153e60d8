"""Clients that do not read their answers, over real sockets whose buffers in the kernel are small."""

from __future__ import annotations

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest
import uvicorn
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from app.api.turnstile import Turnstile
from app.api.wire import WireProtocol
from app.metrics import Metrics
from tests.api.test_wire import HOST, Streams, answer

pytestmark = pytest.mark.anyio
UNREAD_SECONDS = 0.5
KERNEL_BYTES = 4096
SMALL, LONG = 50_000, 1 << 20  # one waits below the mark above which asyncio tells the protocol, one above


@dataclass
class Service:
    """A service of which an answer of any length can be had by its path."""

    port: int
    server: uvicorn.Server

    async def ask(self, length: int, *, extra: str = "") -> Streams:
        """A connection on which an answer of this length was asked for, and not read."""
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, KERNEL_BYTES)
        connection.setblocking(False)
        await asyncio.get_running_loop().sock_connect(connection, (HOST, self.port))
        reader, writer = await asyncio.open_connection(sock=connection, limit=KERNEL_BYTES)
        writer.write(f"GET /{length} HTTP/1.1\r\nHost: t\r\n{extra}\r\n".encode())
        return reader, writer

    async def seconds_until_alone(self) -> float:
        """How long connections stay open."""
        began = time.monotonic()
        async with asyncio.timeout(10):
            while self.server.server_state.connections:
                await asyncio.sleep(0.02)
        return time.monotonic() - began


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Both loops: uvicorn takes uvloop where it is there."""
    return "asyncio", {"use_uvloop": request.param}


@pytest.fixture
async def service() -> AsyncIterator[Service]:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        await Response(b"x" * int(scope["path"].strip("/")))(scope, receive, send)

    turnstile = Turnstile({}, Metrics(), asyncio.Event())
    limits = {"head_seconds": 20, "body_seconds": 20, "unread_seconds": UNREAD_SECONDS}
    protocol = WireProtocol.behind(turnstile, body_bytes=1 << 20, **limits)
    patience = {"timeout_keep_alive": 1, "timeout_graceful_shutdown": 1}
    server = uvicorn.Server(uvicorn.Config(app, http=protocol, lifespan="off", log_config=None, **patience))
    server.config.load()
    server.lifespan = server.config.lifespan_class(server.config)
    with socket.create_server((HOST, 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KERNEL_BYTES)
        await server.startup(sockets=[listener])
        yield Service(listener.getsockname()[1], server)
        await server.shutdown(sockets=[listener])


@pytest.mark.parametrize("extra", ["", "Connection: close\r\n"])
@pytest.mark.parametrize("length", [SMALL, LONG])
async def test_who_does_not_read_his_answer_is_cut_off(service: Service, length: int, extra: str) -> None:
    asked = [await service.ask(length, extra=extra) for _ in range(3)]
    await asyncio.sleep(0.1)
    assert len(service.server.server_state.connections) == 3

    assert await service.seconds_until_alone() < 1 + 2 * UNREAD_SECONDS  # one of them may rest before
    for _, writer in asked:
        writer.close()


async def test_who_reads_late_but_in_time_is_answered_again(service: Service) -> None:
    reader, writer = await service.ask(LONG)
    await asyncio.sleep(UNREAD_SECONDS / 2)
    first = await answer(reader)
    await asyncio.sleep(UNREAD_SECONDS)
    writer.write(b"GET /3 HTTP/1.1\r\nHost: t\r\n\r\n")

    assert (first[0], len(first[2])) == (200, LONG)
    assert (await answer(reader))[::2] == (200, b"xxx")
    writer.close()
