"""Row 23: clients that send or read so slowly that it never ends, and what they cost the others."""

from __future__ import annotations

import random
import socket
import statistics
import time
from collections.abc import Callable
from contextlib import suppress
from http.client import HTTPConnection
from io import BytesIO
from itertools import cycle

import httpx
import pytest
from PIL import Image

from app.api.limits import BODIES_BYTES
from app.api.wire import UNREAD_SECONDS
from app.domain import Role
from tests.trust.attacked import KEYS, Attacked
from tests.trust.figures import Row

MOST_OF_A_BODY = b"\r\nContent-Type: application/json\r\nContent-Length: 8000000\r\n\r\n{" + b" " * 7_900_000
PICTURE_SIZE = (1500, 1500)
UNREAD_AT_ONCE = 8  # each costs what a picture has


def seconds_of(client: httpx.Client, *, requests: int) -> list[float]:
    taken = []
    for _ in range(requests):
        began = time.perf_counter()
        assert client.post("/recommend", json={"user_id": "u1"}).is_success
        taken.append(time.perf_counter() - began)
        time.sleep(0.01)
    return taken


def is_alive(connection: HTTPConnection) -> None:
    """A connection without a request under way may rest: it must still be answered."""
    connection.request("GET", "/health/live")
    assert connection.getresponse().read()


def until_cut(connections: list[socket.socket], *, began: float, patience_seconds: float) -> float:
    """How long the last of them stayed open."""
    last = 0.0
    for one in connections:
        one.settimeout(patience_seconds)
        with suppress(ConnectionError):
            while one.recv(65536):
                pass
        last = time.monotonic() - began
        one.close()
    return last


def large_picture(attacked: Attacked) -> tuple[str, int]:
    """The path of a picture in the service, and its bytes."""
    noise = random.Random(23).randbytes(3 * PICTURE_SIZE[0] * PICTURE_SIZE[1])
    file = BytesIO()
    Image.frombytes("RGB", PICTURE_SIZE, noise).save(file, "PNG")
    with attacked.client(Role.OPS) as ops:
        ops.put("/posts/p1/picture", content=file.getvalue(), headers={"Content-Type": "image/png"}).raise_for_status()
    return "/posts/p1/picture", file.tell()


def asked_and_not_read(attacked: Attacked, path: str) -> socket.socket:
    """A connection on which something was asked for."""
    connection = socket.socket()
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    connection.connect(("127.0.0.1", attacked.settings.port))
    key = KEYS[Role.CLIENT]
    connection.sendall(f"GET {path} HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer {key}\r\n\r\n".encode())
    return connection


def opened(attacked: Attacked, openings: dict[str, bytes], count: int) -> dict[str, list[socket.socket]]:
    """So many connections, each with the next of the openings."""
    slow: dict[str, list[socket.socket]] = {kind: [] for kind in openings}
    for _, (kind, sent) in zip(range(count), cycle(openings.items()), strict=False):
        connection = socket.create_connection(("127.0.0.1", attacked.settings.port))
        with suppress(ConnectionError):  # refused for want of room
            connection.sendall(sent)
        slow[kind].append(connection)
    return slow


def until_left(attacked: Attacked, *, connections: int, began: float, patience_seconds: float) -> float:
    """How long there were more connections than these."""
    deadline = time.monotonic() + patience_seconds
    while attacked.connections() > connections and time.monotonic() < deadline:
        time.sleep(0.1)
    return time.monotonic() - began


@pytest.mark.trust(23)
def test_slow_clients_are_cut_and_good_ones_do_not_notice(
    attacked: Attacked, row: Row, at_full: Callable[[int, int], int]
) -> None:
    sockets, limits, is_full = at_full(60, 500), attacked.settings, bool(at_full(0, 1))
    requests = at_full(100, 300)  # beside slow ones, which are there for ten seconds at full counts and for two else
    head = b"POST /exposures HTTP/1.1\r\nHost: t\r\nAuthorization: Bearer " + KEYS[Role.CLIENT].encode()
    openings = {"silence": b"", "head": head + b"\r\nX-Slow: ", "body": head + MOST_OF_A_BODY}
    path, picture_bytes = large_picture(attacked)
    with attacked.client(Role.CLIENT) as client:
        seconds_of(client, requests=200)  # the first ones are slow, since much is new
        resting = HTTPConnection("127.0.0.1", limits.port)
        is_alive(resting)
        quiet = seconds_of(client, requests=requests)
        good_ones, before = attacked.connections(), attacked.resident_bytes()
        began = time.monotonic()
        unread = [asked_and_not_read(attacked, path) for _ in range(UNREAD_AT_ONCE)]
        slow = opened(attacked, openings, sockets)
        loaded = seconds_of(client, requests=requests)
        grown = attacked.resident_bytes() - before
        taken = {kind: until_cut(slow[kind], began=began, patience_seconds=40) for kind in openings}
        taken["reader"] = until_left(attacked, connections=good_ones, began=began, patience_seconds=40)
        is_alive(resting)
    for one in unread:
        one.close()

    kinds = "send nothing, half a head or 7.9 of the 8 MB of a body"
    row.done = f"{sockets} connections that {kinds}, and {UNREAD_AT_ONCE} that do not read a picture of "
    row.done += f"{picture_bytes / 1e6:.1f} MB, beside one good client"
    patience = {"silence": limits.head_seconds, "head": limits.head_seconds, "body": limits.body_seconds}
    for kind, limit in (patience | {"reader": UNREAD_SECONDS}).items():
        row.at_most(limit + 5, f"last slow {kind} cut after (its limit is {limit:g} s)", taken[kind], "s")
    held = BODIES_BYTES + UNREAD_AT_ONCE * picture_bytes
    row.at_most(1.5 * held / 1e6, "memory gained meanwhile", grown / 1e6, "MB")
    judge_good_client(row, quiet, loaded, is_full=is_full)


def judge_good_client(row: Row, quiet: list[float], loaded: list[float], *, is_full: bool) -> None:
    """What the slow ones cost the good client, in seconds. On a busy machine of a CI one late answer says nothing."""
    p99 = [statistics.quantiles(one, n=100)[98] for one in (quiet, loaded)]
    row.saw("p99 of the good client, quiet", 1000 * p99[0], "ms")
    row.saw("p99 of the good client, meanwhile", 1000 * p99[1], "ms")
    row.at_most(3 if is_full else 30, "p99 meanwhile against quiet", p99[1] / p99[0], "x")
    row.at_most(3, "median meanwhile against quiet", statistics.median(loaded) / statistics.median(quiet), "x")
