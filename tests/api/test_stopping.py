"""What becomes of those who connect while the service ends."""

from __future__ import annotations

import asyncio
import json
import socket
import subprocess
import sys
import time
from contextlib import closing

import pytest
import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from app.opening import listen
from app.server import Server
from app.workers import READY
from tests.api.test_serve import ROOT

pytestmark = pytest.mark.anyio
ANSWER_SECONDS = 1
WORKER = f"""
import asyncio, json, socket, sys, time
import uvicorn

from app.server import Server

began = asyncio.Event()

async def app(scope, receive, send):
    began.set()
    await asyncio.sleep({ANSWER_SECONDS})
    await send({{"type": "http.response.start", "status": 204}})
    await send({{"type": "http.response.body"}})

async def work(listener):
    stopping = asyncio.Event()
    config = uvicorn.Config(app, lifespan="off", log_config=None)
    server = Server(config, stopping, drain_seconds=60, replaced=asyncio.Event())
    serving = asyncio.create_task(server.serve(sockets=[listener]))
    await began.wait()
    used = time.process_time()
    await serving
    print(json.dumps({{"stopping": stopping.is_set(), "seconds": time.process_time() - used}}))

asyncio.run(work(socket.socket(fileno=int(sys.argv[1]))))
"""


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


def test_a_worker_whose_parent_is_gone_says_so_and_waits_for_what_is_under_way_without_spinning():
    channel, theirs = socket.socketpair()
    with channel, closing(listen("127.0.0.1", 0)) as listener:
        listener.listen()
        number = listener.fileno()
        command = [sys.executable, "-c", WORKER, str(number)]
        with theirs:
            worker = subprocess.Popen(command, stdin=theirs, stdout=subprocess.PIPE, pass_fds=[number], cwd=ROOT)
        channel.settimeout(30)
        assert channel.recv(1) == READY
        with socket.create_connection(listener.getsockname()) as connection:
            connection.sendall(b"GET / HTTP/1.1\r\nHost: t\r\n\r\n")
            time.sleep(ANSWER_SECONDS / 10)  # it is under way
            channel.close()
            said, _ = worker.communicate(timeout=30)
            assert connection.recv(100).startswith(b"HTTP/1.1 204")

    known = json.loads(said)
    assert known["stopping"]
    assert known["seconds"] < ANSWER_SECONDS / 4
