"""Rows 21 and 22: what no client should send, and floods of it."""

from __future__ import annotations

import asyncio
import copy
import gzip
import json
import random
import socket
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

import httpx
import pytest

from app.api.json_bodies import VALUES_AT_MOST
from app.domain import Role
from tests.api.test_heads import HEADS, flaw_of_refusal, said_to
from tests.api.test_malformed import CALLS, CANARY, IN_A_BODY, IN_A_QUERY
from tests.trust.attacked import KEYS, Attacked
from tests.trust.figures import Row

NASTY: list[Any] = [
    *(None, True, -1, 0, 2**63, -(2**63), 10**400, 1.5, -0.0, "", " ", "\0", "\ud800", "\u202e", "a" * 5000, CANARY),
    *([], {}, [[[[]]]], {"a": {"a": {"a": 1}}}, [CANARY] * 2000, {CANARY: CANARY}),
    *("NaN", "1e400", "../../etc/passwd", "%00", "'; DROP TABLE posts; --", "2026-13-45T99:99:99Z", "１２３"),
]
RAW = [b"NaN", b"Infinity", b"-Infinity", b"1e400", b"9" * 5000, b'"\\ud800"', b'"\xff"', b"[" * 5000, b"\x00"]
QUERIES = ["k=-1", "limit=99999999999999999999", "before=x", "kind=%FF", "a=b&a=c"]
MEDIA_TYPES = ["application/json"] * 6 + ["text/plain", "application/json; charset=gbk"]
UNSAFE_TO_CALL = {("post", "/reindex")}  # it would start one, which is right


def flaw_of(answer: httpx.Response) -> str | None:
    """What is wrong with an answer to a bad request, if anything."""
    if answer.status_code >= 500:
        return f"{answer.status_code}"
    if answer.status_code < 400:
        return None
    if answer.headers["content-type"] != "application/problem+json":
        return "no problem"
    problem = answer.json()
    if problem["request_id"] != answer.headers["x-request-id"] or problem["status"] != answer.status_code:
        return "a problem of another request"
    return "an echo" if CANARY in answer.text else None


def mutated(chance: random.Random, value: Any) -> Any:
    """A valid body with one thing wrong somewhere in it."""
    value = copy.deepcopy(value)
    holder, place = None, None
    while isinstance(value if holder is None else holder[place], dict | list):
        inner = value if holder is None else holder[place]
        if not inner or (holder is not None and chance.random() < 0.25):
            break
        holder, place = inner, chance.choice(list(inner) if isinstance(inner, dict) else range(len(inner)))
    if holder is None:
        return chance.choice(NASTY)
    kind = chance.randrange(4)
    if kind == 0 and isinstance(holder, dict):
        del holder[place]
    elif kind == 1 and isinstance(holder, dict):
        holder[chance.choice(["", CANARY, "a" * 300, "__proto__", "user_id"])] = chance.choice(NASTY)
    else:
        holder[place] = chance.choice(NASTY)
    return value


def raw(chance: random.Random, body: Any) -> bytes:
    """A body as bytes, some of which are wrong."""
    content = json.dumps(body, ensure_ascii=chance.random() < 0.5).encode("utf-8", "surrogatepass")
    kind = chance.randrange(8)
    if kind == 0:
        content = content.replace(chance.choice([b"1", b'"', b":", b","]), chance.choice(RAW), 1)
    elif kind == 1:
        place = chance.randrange(len(content) + 1)
        content = content[:place] + bytes([chance.randrange(256)]) + content[place:]
    elif kind == 2:
        content = content[: chance.randrange(len(content) + 1)]
    elif kind == 3:
        content = json.dumps(body).encode(chance.choice(["utf-16", "utf-32", "utf-8-sig"]))
    return content


def generated(chance: random.Random, document: dict[str, Any]) -> tuple[str, str, dict[str, Any]]:
    """A call of some route, with a path, a query, headers and a body that may be wrong."""
    calls = [
        (method, path, operation)
        for path, methods in document["paths"].items()
        for method, operation in methods.items()
        if (method, path) not in UNSAFE_TO_CALL
    ]
    method, path, operation = chance.choice(calls)
    while "{" in path:
        name = path[path.index("{") : path.index("}") + 1]
        path = path.replace(name, chance.choice(["p1", "%00", "a%2Fb", "x" * 200, "%F0%9F", "..%2F..", CANARY, "1"]))
    headers = {"Content-Type": chance.choice(MEDIA_TYPES)}
    sent: dict[str, Any] = {"headers": headers}
    media = operation.get("requestBody", {}).get("content", {}).get("application/json")
    if media:
        schema = document["components"]["schemas"][media["schema"]["$ref"].rsplit("/", 1)[1]]
        sent["content"] = raw(chance, mutated(chance, schema["example"]))
    elif chance.random() < 0.3:
        sent["content"] = bytes(chance.randrange(256) for _ in range(30))
    if method == "get" or chance.random() < 0.1:
        path += "?" + chance.choice([*IN_A_QUERY, *QUERIES])
    return method, path, sent


@pytest.mark.trust(21)
def test_no_malformed_request_is_an_error_of_ours(
    attacked: Attacked, row: Row, at_full: Callable[[int, int], int]
) -> None:
    chance = random.Random(21)
    requests = at_full(700, 10_000)
    flaws: list[str] = []
    with attacked.client(Role.ADMIN) as client:
        document = client.get("/openapi.json").json()
        for call in CALLS:
            for name, body in IN_A_BODY.items():
                answer = client.request(*call.split(), content=body, headers={"Content-Type": "application/json"})
                flaw = flaw_of(answer) or (None if answer.is_client_error else "taken")
                flaws += [f"{call}, {name}: {flaw}"] if flaw else []
        for _ in range(requests):
            method, path, sent = generated(chance, document)
            flaw = flaw_of(client.request(method.upper(), path, **sent))
            flaws += [f"{method} {path}: {flaw}"] if flaw else []
    for name, head in HEADS.items():
        flaw = flaw_of_refusal(asyncio.run(said_to(attacked.settings.port, head)))
        flaws += [f"{name}: {flaw}"] if flaw else []

    raw_ones = f"{len(CALLS) * len(IN_A_BODY)} raw bodies and {len(HEADS)} raw heads"
    row.done = f"{raw_ones}, hand-written, and {requests} generated requests, seeded"
    row.none(server_errors_echoes_and_other_flaws=len(flaws))
    assert flaws[:5] == []


def flooded(attacked: Attacked, head: bytes, piece: bytes, *, total_bytes: int) -> tuple[bytes, int]:
    """The answer to a sender that goes on until it is cut off, and how much it could send."""
    key = KEYS[Role.CLIENT].encode()
    sent = 0
    with socket.create_connection(("127.0.0.1", attacked.settings.port), timeout=30) as connection:
        common = b"Host: t\r\nAuthorization: Bearer " + key + b"\r\nContent-Type: application/json\r\n"
        connection.sendall(b"POST /exposures HTTP/1.1\r\n" + common + head + b"\r\n")
        answer = b""
        with suppress(ConnectionError, TimeoutError):
            while sent < total_bytes:
                connection.sendall(piece)
                sent += len(piece)
        with suppress(ConnectionError, TimeoutError):
            answer = connection.recv(65536)
    return answer, sent


@pytest.mark.trust(22)
def test_no_flood_of_bytes_takes_memory(attacked: Attacked, row: Row) -> None:
    with attacked.client(Role.CLIENT) as client:
        for _ in range(20):  # whatever grows with the first requests has grown
            client.post("/exposures", json={"exposures": []})
        before, peak_before = attacked.resident_bytes(), attacked.peak_bytes()
        began = time.monotonic()
        piece = b"100000\r\n" + b" " * (1 << 20) + b"\r\n"
        chunked, sent = flooded(attacked, b"Transfer-Encoding: chunked\r\n", piece, total_bytes=200 << 20)
        stated, _ = flooded(attacked, b"Content-Length: 209715200\r\n", b" " * (1 << 16), total_bytes=200 << 20)
        bomb = gzip.compress(b" " * (50 << 20))
        headers = {"Content-Type": "application/json", "Content-Encoding": "gzip"}
        packed = client.post("/exposures", content=bomb, headers=headers)
        long = client.post("/exposures", json={"exposures": [{}] * 10_000})
        as_json = {"Content-Type": "application/json"}
        deep = client.post("/exposures", content=b"[" * (VALUES_AT_MOST - 1), headers=as_json)
        many = b'{"exposures":[' + b",".join([b"[1]"] * 2_097_132) + b"]}"
        full = client.post("/exposures", content=many, headers=as_json)
        seconds = time.monotonic() - began
        grown, peak = attacked.resident_bytes() - before, attacked.peak_bytes() - peak_before
        assert client.get("/health/live").is_success

    statuses = [one.status_code for one in (packed, long, deep, full)]
    floods = "200 MB in chunks and by stated length, a gzip bomb of 50 MB, a list of 10,000 items, 199,999 brackets"
    row.done = f"{floods}, a body of {len(many) / 1e6:.1f} MB with 4 million values"
    row.none(wrong_answers=sum(one != wanted for one, wanted in zip(statuses, (415, 422, 400, 413), strict=True)))
    row.saw("taken of 200 MB before the cut", sent / 1e6, "MB")
    row.at_most(20, "memory gained", grown / 1e6, "MB")
    row.at_most(40, "more at its peak", peak / 1e6, "MB")
    row.saw("all of them", seconds, "s")
    assert b" 413 " in stated
    assert chunked == b"" or b" 413 " in chunked  # the answer may be lost when the sender goes on regardless
