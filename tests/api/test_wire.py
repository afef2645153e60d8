"""What the protocol does before a request is made of the bytes; over real sockets."""

from __future__ import annotations

import asyncio
import gc
import json
import time
import weakref
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import pytest
import uvicorn
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from app.api.limits import QUEUE_PLACES, Lane
from app.api.turnstile import Turnstile
from app.api.wire import HEAD_BYTES, WireProtocol
from app.metrics import Metrics

pytestmark = pytest.mark.anyio
HOST = "127.0.0.1"
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@dataclass
class Service:
    """A service of one path, whose only lane is taken until it is freed."""

    port: int
    server: uvicorn.Server
    lane: Lane
    metrics: Metrics
    stopping: asyncio.Event
    answered: list[str]  # paths that reached the application

    async def connect(self) -> Streams:
        return await asyncio.open_connection(HOST, self.port)

    def free(self) -> None:
        self.lane.leave()


@pytest.fixture
def head_seconds() -> float:
    return 20.0


@pytest.fixture
def rest_seconds() -> int:
    return 5


@pytest.fixture
async def service(head_seconds: float, rest_seconds: int) -> AsyncIterator[Service]:
    metrics, stopping = Metrics(), asyncio.Event()
    lane = Lane("serving", places=1, metrics=metrics, queue_seconds=60)
    turnstile = Turnstile({(method, "/recommend"): lane for method in ("GET", "POST")}, metrics, stopping)
    protocol = WireProtocol.behind(turnstile, head_seconds=head_seconds, body_seconds=20, body_bytes=1 << 20)
    answered: list[str] = []

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        answered.append(scope["path"])
        if scope["path"] == "/slow":
            await asyncio.sleep(1.5)
        message = await receive()
        await PlainTextResponse(b"got " + message["body"])(scope, receive, send)

    config = uvicorn.Config(
        app, http=protocol, lifespan="off", log_config=None, port=0, timeout_keep_alive=rest_seconds
    )
    server = uvicorn.Server(config)
    async with running(server) as port:
        await lane.enter()
        waiting = [asyncio.create_task(lane.enter()) for _ in range(QUEUE_PLACES)]
        await asyncio.sleep(0)
        yield Service(port, server, lane, metrics, stopping, answered)
        for task in waiting:
            task.cancel()


@asynccontextmanager
async def running(server: uvicorn.Server) -> AsyncIterator[int]:
    """The port of a server that runs in this loop."""
    server.config.load()
    server.lifespan = server.config.lifespan_class(server.config)
    await server.startup()
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = True
    await server.shutdown()


def request(body: bytes = b"{}", *, path: str = "/recommend", extra: str = "") -> bytes:
    head = f"POST {path} HTTP/1.1\r\nHost: t\r\nX-Request-Id: trace-1\r\nContent-Length: {len(body)}\r\n{extra}\r\n"
    return head.encode() + body


async def answer(reader: asyncio.StreamReader) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of the next answer."""
    async with asyncio.timeout(5):
        status, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().strip().split("\r\n")
        headers = {name.lower(): value for name, value in (line.split(": ", 1) for line in lines)}
        return int(status.split()[1]), headers, await reader.readexactly(int(headers["content-length"]))


async def test_what_would_not_get_its_turn_is_answered_at_once_and_the_connection_goes_on(service: Service) -> None:
    reader, writer = await service.connect()
    for _ in range(2):
        writer.write(request())
        status, headers, body = await answer(reader)

        assert (status, headers["retry-after"], headers["x-request-id"]) == (503, "1", "trace-1")
        assert headers["x-content-type-options"] == "nosniff"
        assert {"type": "urn:tuwen:problem:busy", "request_id": "trace-1"}.items() <= json.loads(body).items()

    for _ in range(QUEUE_PLACES + 1):
        service.free()
        await asyncio.sleep(0)
    writer.write(request(b"[1]"))
    assert (await answer(reader))[::2] == (200, b"got [1]")
    labels = {"method": "POST", "route": "/recommend", "status": "503"}
    assert service.metrics.registry.get_sample_value("tuwen_http_requests_total", labels) == 2
    assert service.metrics.registry.get_sample_value("tuwen_requests_shed_total", {"lane": "serving"}) == 2


async def test_another_path_has_its_turn(service: Service) -> None:
    reader, writer = await service.connect()
    writer.write(request(path="/health"))

    assert (await answer(reader))[0] == 200


async def test_requests_of_one_packet_are_answered_one_after_the_other(service: Service) -> None:
    reader, writer = await service.connect()
    writer.write(request() + request(b"[2]", path="/health") + request())

    answers = [await answer(reader) for _ in range(3)]

    assert [one[0] for one in answers] == [503, 200, 200]  # the last one waited behind the one before
    assert answers[1][2] == b"got [2]"


async def test_a_body_in_pieces_is_waited_for(service: Service) -> None:
    reader, writer = await service.connect()
    whole = request(b"x" * 100)
    for part in (whole[:20], whole[20:-60], whole[-60:-1]):
        writer.write(part)
        await asyncio.sleep(0.02)
    assert not reader._buffer  # type: ignore[attr-defined]
    writer.write(whole[-1:])

    assert (await answer(reader))[0] == 503


@pytest.mark.parametrize("head_seconds", [0.3])
async def test_a_body_that_never_ends_is_answered_and_cut(service: Service) -> None:
    reader, writer = await service.connect()
    writer.write(request(b"x" * 100)[:-1])
    status, headers, _ = await answer(reader)

    assert (status, headers["connection"]) == (503, "close")
    assert await reader.read() == b""


async def test_the_query_does_not_matter(service: Service) -> None:
    reader, writer = await service.connect()
    writer.write(b"GET /recommend?user_id=u1 HTTP/1.1\r\nHost: t\r\n\r\n")

    assert (await answer(reader))[0] == 503


async def test_who_does_not_read_his_answers_is_cut_off(service: Service) -> None:
    _, writer = await service.connect()
    writer.transport.pause_reading()  # type: ignore[attr-defined]

    async def ask_for_ever() -> None:
        while True:
            writer.write(1000 * request(b""))
            await writer.drain()

    with pytest.raises(ConnectionError):
        await asyncio.wait_for(ask_for_ever(), 20)


async def test_nothing_is_made_of_what_comes_behind_the_last_answer(service: Service) -> None:
    reader, writer = await service.connect()
    service.stopping.set()
    writer.write(request() + request(b"[3]", path="/health"))

    assert (await answer(reader))[0] == 503
    assert await reader.read() == b""
    assert service.answered == []


async def test_a_long_body_is_dropped_and_the_connection_goes_on(service: Service) -> None:
    reader, writer = await service.connect()
    for _ in range(2):
        writer.write(request(b"x" * (10 * HEAD_BYTES)))
        assert (await answer(reader))[0] == 503


@pytest.mark.parametrize("is_stopping", [False, True])
async def test_the_connection_ends_where_the_client_or_the_service_ends_it(service: Service, is_stopping: bool) -> None:
    reader, writer = await service.connect()
    if is_stopping:
        service.stopping.set()
    writer.write(request(extra="" if is_stopping else "Connection: close\r\n"))
    status, headers, _ = await answer(reader)

    assert (status, headers["connection"]) == (503, "close")
    assert await reader.read() == b""


async def seconds_until_cut(reader: asyncio.StreamReader, began: float) -> float:
    async with asyncio.timeout(5):
        with suppress(ConnectionError):
            assert await reader.read() == b""
    return time.monotonic() - began


@pytest.mark.parametrize("rest_seconds", [1])
async def test_who_was_turned_away_and_asks_no_more_is_cut(service: Service) -> None:
    reader, writer = await service.connect()
    for pause_seconds in (0.6, 0):  # it rests anew after each
        began = time.monotonic()
        writer.write(request())
        assert (await answer(reader))[0] == 503
        await asyncio.sleep(pause_seconds)

    assert 0.9 < await seconds_until_cut(reader, began) < 4


@pytest.mark.parametrize("rest_seconds", [1])
async def test_a_request_behind_one_turned_away_may_take_longer_than_a_connection_may_rest(service: Service) -> None:
    reader, writer = await service.connect()
    writer.write(request() + request(b"[4]", path="/slow"))

    assert (await answer(reader))[0] == 503
    assert (await answer(reader))[::2] == (200, b"got [4]")


@pytest.mark.parametrize("head_seconds", [0.5])
@pytest.mark.parametrize("path", ["/recommend", "/health"])
async def test_a_later_head_that_dribbles_in_has_all_of_its_time_and_no_more(service: Service, path: str) -> None:
    reader, writer = await service.connect()
    writer.write(request(path=path))
    await answer(reader)
    await asyncio.sleep(0.3)  # the time of the first head is not over

    async def dribble() -> None:
        writer.write(b"GET /")
        while True:
            writer.write(b"x")
            await asyncio.sleep(0.05)

    began = time.monotonic()
    dribbling = asyncio.create_task(dribble())
    seconds = await seconds_until_cut(reader, began)
    dribbling.cancel()
    assert 0.45 < seconds < 3


@pytest.mark.parametrize("path", ["/recommend", "/health"])
async def test_nothing_holds_a_connection_that_has_gone(service: Service, path: str) -> None:
    reader, writer = await service.connect()
    writer.write(request(path=path))
    await answer(reader)
    connections = service.server.server_state.connections
    gone = weakref.ref(next(iter(connections)))
    gc.disable()
    try:
        writer.close()
        async with asyncio.timeout(5):
            while connections:
                await asyncio.sleep(0.02)
        await asyncio.sleep(0.05)
        assert gone() is None
    finally:
        gc.enable()
