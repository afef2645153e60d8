"""Limits around every request: its id, its time, its size, and how many are worked on at once."""

from __future__ import annotations

import asyncio
import re
import time
from collections import deque
from collections.abc import Iterable
from math import inf
from random import getrandbits

from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from app.api.problems import RETRY_AFTER_SECONDS, current_request_id, route_path, unexpected
from app.metrics import Metrics
from app.tracing import request_span

REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,64}")
NO_SNIFFING = (b"x-content-type-options", b"nosniff")
HANG_UP = (b"connection", b"close")
BODIES_BYTES = 64 << 20  # that a process holds of bodies under way, but for their beginnings
FREE_BYTES = 64 << 10  # the beginning of each: requests for recommendations are no longer, and go on beside a flood
QUEUE_SECONDS = 0.5  # for a place in a lane
QUEUE_PLACES = 8  # that may wait for each place: what waits longer than a moment is better asked again
CROWDED_PLACES = 2  # the same in a lasting overload, where a long queue makes every answer slow and no more of them
CROWD = 10  # refusals within a second: more than a burst


class RequestEnvelope:
    """Outermost: gives the request its id, counts and times it, and answers errors that nobody foresaw."""

    def __init__(
        self,
        app: ASGIApp,
        metrics: Metrics,
        stopping: asyncio.Event | None = None,
    ) -> None:
        self._app = app
        self._metrics = metrics
        self._stopping = stopping or asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began = time.perf_counter()
        request_id = request_id_of(scope["headers"])
        current_request_id.set(request_id)
        status = 0

        async def send_with_id(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                if self._stopping.is_set():  # the next request of this connection would come too late
                    message["headers"] = [*message.get("headers", ()), HANG_UP]
                given = message.get("headers", ())
                own = [] if any(name.lower() == b"x-content-type-options" for name, _ in given) else [NO_SNIFFING]
                message["headers"] = [*given, *own, (b"x-request-id", request_id.encode())]
            await send(message)

        with request_span(scope["method"], _trace_headers(scope)) as traced:
            try:
                await self._app(scope, receive, send_with_id)
            except ClientDisconnect:
                status = 499
            except Exception as error:
                if status:
                    raise  # half an answer is out: the server has to cut the connection
                await unexpected(error, method=scope["method"], path=route_path(scope))(scope, receive, send_with_id)
            finally:
                route = route_path(scope)
                self._metrics.requests.labels(scope["method"], route, str(status)).inc()
                self._metrics.request_seconds.labels(route).observe(time.perf_counter() - began)
                if traced is not None:
                    traced.update_name(f"{scope['method']} {route}")
                    traced.set_attributes(
                        {"http.route": route, "http.response.status_code": status, "tuwen.request_id": request_id}
                    )


class BodyLimit:
    """Refuses bodies above a size, by their stated length or by counting, and those that do not arrive in time.

    All bodies together have a limit, too: what would take more is refused as in any other overload.
    """

    def __init__(self, app: ASGIApp, *, max_bytes: int, seconds: float, bodies_bytes: int = BODIES_BYTES) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._seconds = seconds  # for the whole body to arrive
        self._left_bytes = bodies_bytes

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        stated = next((value for name, value in scope["headers"] if name == b"content-length"), b"0")
        is_too_long = not stated.isdigit() or int(stated[:20]) > self._max_bytes
        arrived, held, is_complete = 0, 0, False
        deadline = time.monotonic() + self._seconds

        async def receive_counted() -> Message:
            nonlocal arrived, held, is_complete
            if is_complete:
                return await receive()  # only to hear whether the client has gone
            if is_too_long:
                raise self._too_large()
            message = await _before(deadline, receive)
            is_complete = not message.get("more_body", False)
            arrived += len(message.get("body", b""))
            if arrived > self._max_bytes:
                raise self._too_large()
            more = max(0, arrived - FREE_BYTES) - held
            if more > self._left_bytes:
                raise _no_room()
            held, self._left_bytes = held + more, self._left_bytes - more
            return message

        try:
            await self._app(scope, receive_counted, send)
        finally:
            self._left_bytes += held

    def _too_large(self) -> HTTPException:
        # The rest of the body is not read, so the connection cannot be used again.
        detail = f"the body may have at most {self._max_bytes} bytes"
        return HTTPException(413, detail, headers={"Connection": "close"})


def _no_room() -> HTTPException:
    headers = {"Connection": "close", "Retry-After": str(RETRY_AFTER_SECONDS)}
    return HTTPException(503, "too many large bodies arrive at once: try again in a moment", headers=headers)


class LaneFull(Exception):  # noqa: N818
    """No place in the lane in time."""


class Lane:
    """Lets a few requests work at once and some more wait a moment for their turn; the rest is refused at once.

    Beyond the number of cores more at once only makes all of them slow.
    """

    def __init__(self, name: str, *, places: int, metrics: Metrics, queue_seconds: float = QUEUE_SECONDS) -> None:
        self._queue_seconds = queue_seconds
        self._places = asyncio.Semaphore(places)
        self._queue_places, self._crowded_places = QUEUE_PLACES * places, CROWDED_PLACES * places
        self._waiting = 0
        self._coming = 0  # let in, and not begun yet
        self._refused_at: deque[float] = deque([-inf] * CROWD, maxlen=CROWD)  # monotonic seconds, the latest
        self._in_flight = metrics.in_flight.labels(name)
        self._shed = metrics.shed.labels(name)

    async def enter(self) -> None:
        """Wait for a place, to be given back by `leave`. Raises LaneFull."""
        self.refuse_when_full()
        self._waiting += 1
        try:
            async with asyncio.timeout(self._queue_seconds):
                await self._places.acquire()
        except TimeoutError:
            self.refuse()
            raise LaneFull from None
        finally:
            self._waiting -= 1
        self._in_flight.inc()

    def leave(self) -> None:
        """Give a place back."""
        self._in_flight.dec()
        self._places.release()

    def expect(self) -> None:
        """Count a request that was just let in until the next turn of the loop, in which it joins the queue itself."""
        self._coming += 1
        asyncio.get_running_loop().call_soon(self._begins)

    def _begins(self) -> None:
        self._coming -= 1

    @property
    def is_full(self) -> bool:
        """Whether the next request is better turned away before anything is done for it."""
        is_crowded = time.monotonic() - self._refused_at[0] < 1
        return self._waiting + self._coming >= (self._crowded_places if is_crowded else self._queue_places)

    def refuse(self) -> None:
        """Note that a request was refused."""
        self._refused_at.append(time.monotonic())
        self._shed.inc()

    def refuse_when_full(self) -> None:
        """Spare the work on a request that would be refused later. Raises LaneFull.

        Whoever passed the turnstile keeps the long queue: those who came after him may have shortened it meanwhile.
        """
        if self._waiting >= self._queue_places:
            self.refuse()
            raise LaneFull


async def _before(deadline: float, receive: Receive) -> Message:
    """The next message of the request. Raises HTTPException 408 when it comes after the deadline (monotonic)."""
    try:
        async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
            return await receive()
    except TimeoutError:
        raise HTTPException(408, "the body came too slowly", headers={"Connection": "close"}) from None


def _trace_headers(scope: Scope) -> dict[str, str]:
    """What says which trace the caller is in (W3C Trace Context)."""
    wanted = (b"traceparent", b"tracestate")
    return {name.decode(): value.decode("latin-1") for name, value in scope["headers"] if name in wanted}


def request_id_of(headers: Iterable[tuple[bytes, bytes]]) -> str:
    """The caller's own id where it can be used, else a new one."""
    given: bytes = next((value for name, value in headers if name == b"x-request-id"), b"")
    return given.decode() if REQUEST_ID.fullmatch(given) else f"{getrandbits(64):016x}"
