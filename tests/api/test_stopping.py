"""What becomes of those who connect while the service ends."""

from __future__ import annotations

import asyncio

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.opening import listen
from app.server import Server

pytestmark = pytest.mark.anyio


async def answer(request: Request) -> Response:
    return Response("answered")


async def test_a_connection_that_waits_in_the_kernel_when_the_service_ends_is_answered():
    config = uvicorn.Config(Starlette(routes=[Route("/", answer)]), lifespan="off", log_config=None)
    config.load()
    server = Server(config, asyncio.Event(), drain_seconds=0)
    server.lifespan, server.servers = config.lifespan_class(config), []
    listener = listen("127.0.0.1", 0)
    listener.listen()
    address = listener.getsockname()
    reader, writer = await asyncio.open_connection(*address)  # nobody has accepted it
    writer.write(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")

    _, read = await asyncio.gather(server.shutdown([listener]), reader.read())

    assert read.endswith(b"answered")
    writer.close()
    with pytest.raises(ConnectionRefusedError):
        await asyncio.open_connection(*address)
