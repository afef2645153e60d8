"""Heads that no HTTP client sends, byte by byte: each is refused as a problem with a request id, or cut off."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
import uvicorn
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse
from starlette.types import Receive, Scope, Send

from app.api.turnstile import Turnstile
from app.api.wire import HEAD_BYTES, WireProtocol
from app.metrics import Metrics
from tests.api.test_malformed import CANARY
from tests.api.test_wire import HOST, running

pytestmark = pytest.mark.anyio

GET = b"GET /recommend?user_id=u HTTP/1.1\r\nHost: t\r\n"
POST = b"POST /recommend HTTP/1.1\r\nHost: t\r\nContent-Type: application/json\r\n"
MARK = CANARY.encode()
HEADS = {
    "no method": MARK + b" / HTTP/1.1\r\nHost: t\r\n\r\n",
    "a method in small letters": b"get / HTTP/1.1\r\nHost: t\r\n\r\n",
    "a version that is none": b"GET / HTTP/" + MARK + b"\r\nHost: t\r\n\r\n",
    "a version to come": b"GET / HTTP/9.9\r\nHost: t\r\n\r\n",
    "another protocol": b"GET / " + MARK + b"/1.1\r\nHost: t\r\n\r\n",
    "a handshake of TLS": b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + MARK,
    "nul bytes": b"\0" * 100,
    "a blank in a path": b"GET /a b" + MARK + b" HTTP/1.1\r\nHost: t\r\n\r\n",
    "nul in a path": b"GET /\0" + MARK + b" HTTP/1.1\r\nHost: t\r\n\r\n",
    "raw bytes in a path": b"GET /\xff\xfe" + MARK + b" HTTP/1.1\r\nHost: t\r\n\r\n",
    "a blank in a name": GET + b"X " + MARK + b": 1\r\n\r\n",
    "a blank behind a name": GET + b"X-" + MARK + b" : 1\r\n\r\n",
    "a name that is none": GET + b"\xe4(" + MARK + b"): 1\r\n\r\n",
    "no name": GET + b": " + MARK + b"\r\n\r\n",
    "no colon": GET + MARK + b"\r\n\r\n",
    "a folded line": b"GET / HTTP/1.1\r\n " + MARK + b": 1\r\n\r\n",
    "nul in a value": GET + b"X: \0" + MARK + b"\r\n\r\n",
    "a bare carriage return in a value": GET + b"X: a\r" + MARK + b"\r\n\r\n",
    "a length that is none": POST + b"Content-Length: " + MARK + b"\r\n\r\n{}",
    "a length below zero": POST + b"Content-Length: -1\r\n\r\n{}",
    "a length beyond 64 bits": POST + b"Content-Length: " + b"9" * 40 + b"\r\n\r\n{}",
    "two lengths": POST + b"Content-Length: 2\r\nContent-Length: 3\r\n\r\n{}" + MARK,
    "a length and chunks": POST + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    "an unknown coding": POST + b"Transfer-Encoding: " + MARK + b"\r\n\r\n{}",
    "a chunk without a size": POST + b"Transfer-Encoding: chunked\r\n\r\n" + MARK + b"\r\n{}\r\n0\r\n\r\n",
    "a chunk beyond 64 bits": POST + b"Transfer-Encoding: chunked\r\n\r\n" + b"f" * 40 + b"\r\n{}\r\n",
    "a huge header": GET + b"X: " + MARK * (HEAD_BYTES // 10) + b"\r\n\r\n",
    "a huge path": b"GET /" + MARK * (HEAD_BYTES // 10) + b" HTTP/1.1\r\nHost: t\r\n\r\n",
    "ten thousand headers": GET + b"X: 1\r\n" * 12_000 + b"\r\n",
}


async def said_to(port: int, sent: bytes) -> bytes:
    """All that is said to a client that sends these bytes and waits until it is cut off."""
    reader, writer = await asyncio.open_connection(HOST, port)
    async with asyncio.timeout(10):
        writer.write(sent)
        try:
            return await reader.read()
        except ConnectionError:
            return b""
        finally:
            writer.close()


def flaw_of_refusal(said: bytes) -> str | None:
    """What is wrong with what was said to such bytes, if anything; nothing may be said at all."""
    head, _, body = said.partition(b"\r\n\r\n")
    status, *lines = head.decode("latin-1").split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in lines)
    if not said:
        return None
    if not status.startswith("HTTP/1.1 4"):
        return status
    if MARK in said:
        return "an echo"
    if headers.get("content-type") != "application/problem+json" or headers.get("connection") != "close":
        return "no problem, or no end"
    problem = json.loads(body)
    return None if problem["request_id"] == headers.get("x-request-id") else "no request id"


@pytest.fixture
async def port() -> AsyncIterator[int]:
    """Of a service that answers every request it can read."""

    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        with suppress(ClientDisconnect):
            await PlainTextResponse(await Request(scope, receive).body())(scope, receive, send)

    turnstile = Turnstile({}, Metrics(), asyncio.Event())
    protocol = WireProtocol.behind(turnstile, head_seconds=1, body_seconds=1, body_bytes=1 << 20)
    config = uvicorn.Config(app, http=protocol, lifespan="off", log_config=None, port=0)
    async with running(uvicorn.Server(config)) as port:
        yield port


@pytest.mark.parametrize("name", HEADS)
async def test_a_head_that_is_no_http_is_a_problem_with_an_id_and_the_end(port: int, name: str) -> None:
    assert flaw_of_refusal(await said_to(port, HEADS[name])) is None
