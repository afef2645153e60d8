"""Requests that would not get their turn -> their refusal, before anything is done for them.

In an overload it must cost next to nothing: the core that answers also refuses.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import NamedTuple

from app.api.limits import HANG_UP, NO_SNIFFING, Lane, request_id_of
from app.api.problems import BUSY, busy
from app.metrics import Metrics

NO_ID = "no-id"
HANG_UP_LINE = b"%b: %b\r\n" % HANG_UP


class Refusal(NamedTuple):
    """The answer to a request that is turned away."""

    head: bytes  # without the empty line at its end
    body: bytes
    hangs_up: bool  # whether the connection is closed after it


class Turnstile:
    """Turns requests away; all refusals are alike but for their request id."""

    def __init__(self, lanes: Mapping[tuple[str, str], Lane], metrics: Metrics, stopping: asyncio.Event) -> None:
        self._lanes = {
            (method.encode(), path.encode()): (lane, metrics.requests.labels(method, path, str(BUSY.status)))
            for (method, path), lane in lanes.items()
        }
        self._stopping = stopping
        answer = busy(NO_ID)
        self._before_id, self._after_id = bytes(answer.body).split(NO_ID.encode())
        headers = [one for one in answer.raw_headers if one[0] != b"content-length"]
        self._head = response_head(BUSY.status, [*headers, NO_SNIFFING])

    def turned_away(self, method: bytes, url: bytes, headers: Iterable[tuple[bytes, bytes]]) -> Refusal | None:
        """The answer to a request that would not get its turn; None lets it in."""
        found = self._lanes.get((method, url.partition(b"?")[0]))
        if found is None:
            return None
        lane, count = found
        if not lane.is_full:
            lane.expect()
            return None
        lane.refuse()
        count.inc()
        request_id = request_id_of(headers).encode()
        body = self._before_id + request_id + self._after_id
        head = b"%bcontent-length: %d\r\nx-request-id: %b\r\n" % (self._head, len(body), request_id)
        return Refusal(head, body, self._stopping.is_set())


def response_head(status: int, headers: Iterable[tuple[bytes, bytes]]) -> bytes:
    """Status line and headers, without the empty line at their end."""
    lines = b"".join(b"%b: %b\r\n" % header for header in headers)
    return f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\n".encode() + lines
