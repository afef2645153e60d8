"""Answers that are sent before the body of their request has arrived, over real sockets."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
import uvicorn
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from app.api.turnstile import Turnstile
from app.api.wire import HEAD_BYTES, WireProtocol
from app.metrics import Metrics
from tests.api.test_wire import HOST, answer, request, running

pytestmark = pytest.mark.anyio
BODY_SECONDS, KEEP_ALIVE_SECONDS = 0.5, 1
BODY = b"x" * (10 * HEAD_BYTES)
READS, REFUSES = "/reads", "/refuses"


@pytest.fixture(params=[False, True], ids=["asyncio", "uvloop"])
def anyio_backend(request: pytest.FixtureRequest) -> tuple[str, dict[str, bool]]:
    """Both loops: uvicorn takes uvloop where it is there."""
    return "asyncio", {"use_uvloop": request.param}


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """Of a service that reads what is sent to one path, and refuses everything else unread."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"] == READS:
            length = len(await Request(scope, receive).body())
            await PlainTextResponse(f"read {length}")(scope, receive, send)
        else:
            await PlainTextResponse("no key", 401)(scope, receive, send)

    turnstile = Turnstile({}, Metrics(), asyncio.Event())
    protocol = WireProtocol.behind(turnstile, head_seconds=20, body_seconds=BODY_SECONDS, body_bytes=2 * len(BODY))
    config = uvicorn.Config(app, http=protocol, lifespan="off", log_config=None, port=0)
    config.timeout_keep_alive = KEEP_ALIVE_SECONDS
    async with running(uvicorn.Server(config)) as port:
        yield port


async def seconds_until_cut(reader: asyncio.StreamReader) -> float:
    began = time.monotonic()
    async with asyncio.timeout(10):
        with suppress(ConnectionError):
            assert await reader.read() == b""
    return time.monotonic() - began


async def test_the_rest_of_a_refused_body_is_dropped_and_the_connection_goes_on(port: int) -> None:
    reader, writer = await asyncio.open_connection(HOST, port)
    for _ in range(2):
        whole = request(BODY, path=REFUSES)
        writer.write(whole[:-1])
        await writer.drain()
        assert (await answer(reader))[::2] == (401, b"no key")

        writer.write(whole[-1:] + request(BODY, path=READS))
        assert (await answer(reader))[::2] == (200, b"read %d" % len(BODY))
    writer.close()


async def test_a_refused_body_in_chunks_is_dropped_and_the_connection_goes_on(port: int) -> None:
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(f"PUT {REFUSES} HTTP/1.1\r\nHost: t\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
    assert (await answer(reader))[0] == 401

    for _ in range(10):
        writer.write(b"%x\r\n%b\r\n" % (HEAD_BYTES, b"x" * HEAD_BYTES))
        await writer.drain()
    writer.write(b"0\r\n\r\n" + request(b"[1]", path=READS))
    assert (await answer(reader))[::2] == (200, b"read 3")
    writer.close()


async def test_a_connection_does_not_rest_longer_than_others_after_the_rest_of_a_refused_body(port: int) -> None:
    reader, writer = await asyncio.open_connection(HOST, port)
    whole = request(BODY, path=REFUSES)
    writer.write(whole[:-1])
    assert (await answer(reader))[0] == 401
    writer.write(whole[-1:])

    assert KEEP_ALIVE_SECONDS / 2 < await seconds_until_cut(reader) < 3 * KEEP_ALIVE_SECONDS
    writer.close()


async def test_the_rest_of_a_refused_body_that_dribbles_in_is_cut_off(port: int) -> None:
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(request(BODY, path=REFUSES)[: -len(BODY)])
    assert (await answer(reader))[0] == 401

    async def dribble() -> None:
        while True:
            writer.write(b"x")
            await asyncio.sleep(0.05)

    dribbling = asyncio.create_task(dribble())
    seconds = await seconds_until_cut(reader)
    dribbling.cancel()
    assert seconds < 6 * BODY_SECONDS
    writer.close()


async def test_a_refused_body_longer_than_any_may_be_is_not_taken_to_its_end(port: int) -> None:
    reader, writer = await asyncio.open_connection(HOST, port)
    writer.write(b"PUT %b HTTP/1.1\r\nHost: t\r\nContent-Length: 1000000000\r\n\r\n" % REFUSES.encode())
    assert (await answer(reader))[0] == 401

    async def send_it() -> None:
        for _ in range(50):  # some of it waits in the kernel
            writer.write(BODY)
            await writer.drain()

    with pytest.raises(ConnectionError):
        await send_it()
