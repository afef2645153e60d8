"""Requests at moments set beforehand -> how long each took from that moment, whatever the others before it took."""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

CONNECTIONS = 8


@dataclass
class Load:
    """What came of the requests."""

    milliseconds: list[float] = field(default_factory=list)  # of each that was answered well
    began_at: list[float] = field(default_factory=list)  # seconds since the start, of the same
    failed: int = 0
    seconds: float = 0.0  # from the first request's moment to the last answer

    def percentile(self, share: float, *, since: float = 0.0) -> float:
        """Nearest rank, of the requests that began then or later."""
        pairs = zip(self.milliseconds, self.began_at, strict=True)
        ranked = sorted(one for one, began in pairs if began >= since)
        return ranked[min(len(ranked) - 1, int(share * len(ranked)))]


async def steady_load(host: str, port: int, requests: Sequence[bytes], *, per_second: float) -> Load:
    """Send the requests at a steady rate, math.inf for as fast as they are answered, over a few connections.

    Keeps a core busy all the time.
    """
    gc.freeze()  # a full collection would stop this client for a fifth of a second, and look like a stop of the service
    load, free = Load(), asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]]()
    for _ in range(CONNECTIONS):
        free.put_nowait(await asyncio.open_connection(host, port))
    began = time.perf_counter()
    sending = []
    for number, request in enumerate(requests):
        due = began + number / per_second
        await asyncio.sleep(0)
        while time.perf_counter() < due:  # never asleep: a timer, and a core that has to wake up, come up to 1 ms late
            await asyncio.sleep(0)
        sending.append(asyncio.create_task(_send(load, free, request, due=due, began=began)))
    await asyncio.gather(*sending)
    load.seconds = time.perf_counter() - began
    while not free.empty():
        free.get_nowait()[1].close()
    return load


async def _send(
    load: Load,
    free: asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]],
    request: bytes,
    *,
    due: float,
    began: float,
) -> None:
    reader, writer = await free.get()
    try:
        writer.write(request)
        head = await reader.readuntil(b"\r\n\r\n")
        length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
        await reader.readexactly(int(length.split(b":")[1]))
        if head.startswith(b"HTTP/1.1 200"):
            load.milliseconds.append(1000 * (time.perf_counter() - due))
            load.began_at.append(due - began)
        else:
            load.failed += 1
    except (OSError, asyncio.IncompleteReadError):
        load.failed += 1
    finally:
        free.put_nowait((reader, writer))


def post_bytes(path: str, body: bytes, key: str) -> bytes:
    """One POST of JSON, as it goes over the wire."""
    head = f"POST {path} HTTP/1.1\r\nHost: bench\r\nAuthorization: Bearer {key}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body
