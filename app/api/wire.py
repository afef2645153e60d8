"""Bytes of a connection -> requests: uvicorn's protocol, impatient with heads that dribble in or never end, and with
clients that do not read their answers.

Behind a turnstile: what would not get its turn is answered here, before a request, a task or a scope is made for it.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from app.api.alarm import Alarm
from app.api.limits import HANG_UP, NO_SNIFFING, request_id_of
from app.api.problems import OF_STATUSES, problem
from app.api.turnstile import HANG_UP_LINE, Refusal, Turnstile, response_head

HEAD_BYTES = 64 << 10
UNREAD_SECONDS = 20.0  # for the client to read an answer, but for what the kernel holds of it
NO_HTTP = "the bytes are no HTTP request"
LONG_HEAD = f"the head of a request may have at most {HEAD_BYTES} bytes"


class WireProtocol(HttpToolsProtocol):
    """Cuts connections on which no whole head arrives in time; uvicorn itself would wait for ever."""

    head_seconds: float  # from the opening of the connection, or its first byte after a pause, to the end of the head
    body_seconds: float  # for the rest of a body whose request was answered before it had arrived
    body_bytes: int  # that are taken of such a rest: at the end of a connection that has sent more, answers are lost
    unread_seconds: float
    turnstile: Turnstile
    _unread: Alarm  # while more waits to be sent than should, or the end of all
    _head: Alarm  # of what is turned away: to the end of its body
    _head_bytes = 0
    _rest: Alarm  # while the rest of a body comes whose request is answered
    _rest_bytes = 0
    _next: Alarm  # while none is under way since the last one was turned away, or its body dropped; else uvicorn's own
    _is_dropped = False  # nothing is made of the request under way
    _answer: Refusal | None = None  # for a request that is turned away, once its body has arrived

    @classmethod
    def behind(
        cls,
        turnstile: Turnstile,
        *,
        head_seconds: float,
        body_seconds: float,
        body_bytes: int,
        unread_seconds: float = UNREAD_SECONDS,
    ) -> type[WireProtocol]:
        """The protocol with these: uvicorn makes one per connection, and passes nothing of ours to it."""
        limits = {"head_seconds": head_seconds, "body_seconds": body_seconds, "body_bytes": body_bytes}
        return type(cls.__name__, (cls,), {"turnstile": turnstile, "unread_seconds": unread_seconds, **limits})

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """A client has connected."""
        super().connection_made(transport)
        self._unread = Alarm(self.loop, self.unread_seconds, transport.abort)
        self._head = Alarm(self.loop, self.head_seconds, self._too_slow)
        self._rest = Alarm(self.loop, self.body_seconds, self._hang_up)
        self._next = Alarm(self.loop, self.timeout_keep_alive, self._hang_up)
        self._head.set()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has gone."""
        for alarm in (self._unread, self._head, self._rest, self._next):
            alarm.end()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Some bytes have arrived."""
        self._next.unset()
        is_idle = self.cycle is None or self.cycle.response_complete
        if is_idle and not self._head.is_set and not self._rest.is_set:
            self._head_bytes = 0
            self._head.set()
        self._head_bytes += len(data)
        super().data_received(data)
        is_head = self._head.is_set and self._answer is None
        if is_head and self._head_bytes > HEAD_BYTES:
            self._refuse(431, LONG_HEAD)

    def on_message_begin(self) -> None:
        """Another request begins."""
        self._is_dropped = self.transport.is_closing()  # what comes behind the last answer of a connection
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """The head is whole."""
        if self._head_bytes > HEAD_BYTES and self._is_long_head():
            self._is_dropped = True
            self._refuse(431, LONG_HEAD)
            return
        is_idle = self.cycle is None or self.cycle.response_complete  # else it waits behind the one before
        if is_idle and not self.expect_100_continue and not self._is_dropped:
            self._answer = self.turnstile.turned_away(self.parser.get_method(), self.url, self.headers)
            self._is_dropped = self._answer is not None
        if not self._is_dropped:
            self._head.unset()
            self._next.unset()  # one before it in the same packet may have been turned away
            super().on_headers_complete()

    def on_body(self, body: bytes) -> None:
        """A part of a body has arrived."""
        if self._rest.is_set:
            self._rest_bytes += len(body)
            if self._rest_bytes > self.body_bytes:
                self._hang_up()
        elif not self._is_dropped:
            super().on_body(body)

    def on_message_complete(self) -> None:
        """The body is whole."""
        if self._rest.is_set:
            self._rest.unset()
            self._next.set()
        elif not self._is_dropped:
            super().on_message_complete()
        elif self._answer is not None:
            self._turn_away(self._answer, keep_alive=self._can_go_on())

    def send_400_response(self, msg: str) -> None:
        """Answer what is no HTTP; `msg` is uvicorn's own."""
        self._refuse(400, NO_HTTP)

    def pause_writing(self) -> None:
        """More waits to be sent than should."""
        super().pause_writing()
        self._expect_reading()

    def resume_writing(self) -> None:
        """The client has read almost all of it."""
        super().resume_writing()
        if not self.transport.is_closing():
            self._unread.unset()

    def on_response_complete(self) -> None:
        """All of an answer has been handed over."""
        super().on_response_complete()
        if self.transport.is_closing():
            self._expect_reading()
        elif self.cycle.response_complete and self.cycle.more_body:  # else another request has its turn
            self._rest_bytes = 0
            self._rest.set()

    def timeout_keep_alive_handler(self) -> None:
        """No further request has come."""
        self._hang_up()

    def _hang_up(self) -> None:
        """Close the connection once the client has read what was said to him, or does not do so in time."""
        self.transport.close()
        self._expect_reading()

    def _expect_reading(self) -> None:
        if not self._unread.is_set:
            self._unread.set()

    def _too_slow(self) -> None:
        """Hang up, with the answer to whom there is one for."""
        if self._answer is not None:
            self._turn_away(self._answer, keep_alive=False)
        else:
            self._hang_up()

    def _is_long_head(self) -> bool:
        """Whether a head that came at once is too long: some of the bytes may be its body's."""
        return len(self.url) + sum(len(name) + len(value) + 4 for name, value in self.headers) > HEAD_BYTES

    def _can_go_on(self) -> bool:
        """Whether another request may follow on this connection."""
        return bool(self.parser.should_keep_alive()) and self.parser.get_http_version() != "1.0"

    def _turn_away(self, refusal: Refusal, *, keep_alive: bool) -> None:
        """Answer, and wait for the next request if there can be one."""
        self._answer = None
        self._head.unset()
        hangs_up = refusal.hangs_up or not keep_alive
        self.transport.write(refusal.head + (HANG_UP_LINE if hangs_up else b"") + b"\r\n" + refusal.body)
        if self.flow.write_paused:  # he asks and asks, and does not read the answers
            self.transport.abort()
        elif hangs_up:
            self._hang_up()
        else:
            self._next.set()

    def _refuse(self, status: int, detail: str) -> None:
        """Answer and hang up."""
        self._answer = None
        self._head.unset()
        request_id = request_id_of(())  # his own may be in the head, which cannot be relied on
        answer = problem(OF_STATUSES[status], detail, request_id=request_id)
        headers = [*answer.raw_headers, NO_SNIFFING, (b"x-request-id", request_id.encode()), HANG_UP]
        self.transport.write(response_head(status, headers) + b"\r\n" + bytes(answer.body))
        self._hang_up()
