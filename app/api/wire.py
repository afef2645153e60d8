"""Bytes of a connection -> requests: uvicorn's protocol, impatient with heads that dribble in or never end."""

from __future__ import annotations

import asyncio

import orjson
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.api.problems import MEDIA_TYPE, TYPE_PREFIX

HEAD_BYTES = 64 << 10
NO_HTTP = "the bytes are no HTTP request"
LONG_HEAD = f"the head of the request is longer than {HEAD_BYTES} bytes"


class WireProtocol(HttpToolsProtocol):
    """Cuts connections on which no whole head arrives in time; uvicorn itself would wait for ever."""

    head_seconds: float  # from the opening of the connection, or its first byte after a pause, to the end of the head
    _head_timer: asyncio.TimerHandle | None = None
    _head_bytes = 0

    @classmethod
    def waiting(cls, head_seconds: float) -> type[WireProtocol]:
        """The protocol with so much patience: uvicorn makes one per connection, and passes nothing of ours to it."""
        return type(cls.__name__, (cls,), {"head_seconds": head_seconds})

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has connected."""
        super().connection_made(transport)
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone."""
        self._head_arrived()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Some bytes have arrived."""
        if self._head_timer is None and (self.cycle is None or self.cycle.response_complete):
            self._expect_head()
        self._head_bytes += len(data)
        super().data_received(data)
        if self._head_timer is not None and self._head_bytes > HEAD_BYTES:
            self._refuse(431, "Request Header Fields Too Large", LONG_HEAD)

    def on_headers_complete(self) -> None:
        """The head is whole."""
        self._head_arrived()
        super().on_headers_complete()

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP; `msg` is uvicorn's own."""
        self._refuse(400, "Bad Request", NO_HTTP)

    def _expect_head(self) -> None:
        self._head_bytes = 0
        self._head_timer = self.loop.call_later(self.head_seconds, self.transport.close)

    def _head_arrived(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _refuse(self, status: int, title: str, detail: str) -> None:
        """Answer and hang up."""
        self._head_arrived()
        slug = title.lower().replace(" ", "-")
        body = orjson.dumps({"type": TYPE_PREFIX + slug, "title": title, "status": status, "detail": detail})
        head = f"HTTP/1.1 {status} {title}\r\ncontent-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\n"
        self.transport.write(head.encode() + b"connection: close\r\n\r\n" + body)
        self.transport.close()
