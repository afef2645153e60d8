"""An open-loop HTTP client: requests go out when they are due, whether earlier ones were answered or not.

A client that waits for its answers slows down with the service and so hides its overload. Latency counts from when a
request was due. Connections are kept alive and taken from a pool.
"""

from __future__ import annotations

import asyncio
import contextlib
import gc
import json
import random
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

LOST = 0  # the status of a request without an answer
REFUSED = -1  # and of one for which no connection could be made


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one request."""

    due_at: float  # monotonic seconds
    seconds: float  # from when it was due to the last byte
    status: int  # LOST = none
    head: bytes
    body: bytes

    @property
    def is_good(self) -> bool:
        """Answered with 200."""
        return self.status == 200

    def json(self) -> dict:
        """The body."""
        return json.loads(self.body)


@dataclass
class Answers:
    """All answers of a load."""

    all: list[Answer] = field(default_factory=list)

    def of(self, status: int) -> list[Answer]:
        """Those with this status."""
        return [one for one in self.all if one.status == status]

    @property
    def good_percent(self) -> float:
        """Share of 200."""
        return 100 * len(self.of(200)) / max(1, len(self.all))

    def after(self, moment: float, until: float = float("inf")) -> Answers:
        """Those that were due from one moment (monotonic) to another."""
        return Answers([one for one in self.all if moment <= one.due_at < until])


def percentile_ms(answers: Sequence[Answer], share: float) -> float:
    """Nearest rank of the latencies, in milliseconds; 0 without any."""
    ranked = sorted(one.seconds for one in answers)
    return 1000 * ranked[min(len(ranked) - 1, int(share * len(ranked)))] if ranked else 0.0


@contextlib.contextmanager
def no_collections() -> Iterator[None]:
    """A collection of garbage would stop the client for a fifth of a second, and look like a stop of the service."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class Connection:
    """One kept-alive connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self.writer = writer

    async def ask(self, request: bytes) -> tuple[int, bytes, bytes]:
        """Status, head and body. Raises OSError, EOFError."""
        self.writer.write(request)
        head = await self._reader.readuntil(b"\r\n\r\n")
        lower = head.lower()
        length = int(lower.split(b"content-length:", 1)[1].split(b"\r\n", 1)[0]) if b"content-length:" in lower else 0
        body = await self._reader.readexactly(length)
        if b"connection: close" in lower:
            self.writer.close()
        return int(head[9:12]), head, body


class Client:
    """Sends requests to one address with one key."""

    def __init__(self, host: str, port: int, key: str, *, timeout_seconds: float = 20.0) -> None:
        self._at = (host, port)
        self._fixed = f"Host: {host}\r\nAuthorization: Bearer {key}\r\n".encode()
        self._timeout_seconds = timeout_seconds
        self._idle: deque[Connection] = deque()

    def post(self, path: str, body: object) -> bytes:
        """The bytes of a POST."""
        content = json.dumps(body).encode()
        head = f"POST {path} HTTP/1.1\r\n".encode() + self._fixed
        return head + b"Content-Type: application/json\r\nContent-Length: %d\r\n\r\n" % len(content) + content

    def get(self, path: str) -> bytes:
        """The bytes of a GET."""
        return f"GET {path} HTTP/1.1\r\n".encode() + self._fixed + b"\r\n"

    async def ask(self, request: bytes, due_at: float | None = None) -> Answer:
        """Send one request and wait for its answer; one without an answer has the status LOST."""
        due_at = time.monotonic() if due_at is None else due_at
        status, head, body, connection = LOST, b"", b"", None
        try:
            async with asyncio.timeout(self._timeout_seconds):
                connection = self._take() or Connection(*await asyncio.open_connection(*self._at))
                status, head, body = await connection.ask(request)
        except (OSError, EOFError, TimeoutError):
            status = REFUSED if connection is None else LOST
            if connection is not None:
                connection.writer.close()
        else:
            self._idle.append(connection)
        return Answer(due_at, time.monotonic() - due_at, status, head, body)

    def _take(self) -> Connection | None:
        while self._idle:
            connection = self._idle.pop()
            if not connection.writer.is_closing() and not connection._reader.at_eof():
                return connection
        return None

    async def open_loop(
        self, per_second: float, request: Callable[[int], bytes], *, until: Callable[[], bool], seed: int = 0
    ) -> Answers:
        """Send at random moments, so many a second on average, until it is enough; then wait for all answers."""
        chance, tasks, number = random.Random(seed), [], 0
        due_at = time.monotonic()
        with no_collections():
            while not until():
                due_at += chance.expovariate(per_second)
                await asyncio.sleep(max(0.0, due_at - time.monotonic()))
                tasks.append(asyncio.create_task(self.ask(request(number), due_at)))
                number += 1
            return Answers(list(await asyncio.gather(*tasks)))

    async def for_seconds(
        self, seconds: float, per_second: float, request: Callable[[int], bytes], *, seed: int = 0
    ) -> Answers:
        """The same for so long."""
        ends_at = time.monotonic() + seconds
        return await self.open_loop(per_second, request, until=lambda: time.monotonic() >= ends_at, seed=seed)

    def close(self) -> None:
        """Hang up."""
        while self._idle:
            with contextlib.suppress(RuntimeError):
                self._idle.pop().writer.close()
