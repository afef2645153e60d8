from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import orjson
import pytest
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.types import Receive, Scope, Send

from app.api.limits import (
    CROWD,
    CROWDED_PLACES,
    FREE_BYTES,
    QUEUE_PLACES,
    BodyLimit,
    Lane,
    LaneFull,
    RequestEnvelope,
)
from app.api.log_lines import JsonLines
from app.api.state import SERVING_LANE, lanes
from app.metrics import Metrics

pytestmark = pytest.mark.anyio


def counted(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


@asynccontextmanager
async def crowded(lane: Lane, *, waiting: int) -> AsyncIterator[None]:
    """One request at work in the lane, and some that wait for it."""
    await lane.enter()
    tasks = [asyncio.create_task(lane.enter()) for _ in range(waiting)]
    await asyncio.sleep(0)
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()


async def test_a_lane_lets_its_places_work_and_a_queue_wait() -> None:
    metrics = Metrics()
    lane = Lane("serving", places=2, metrics=metrics)
    under_way, most = 0, 0

    async def work() -> None:
        nonlocal under_way, most
        await lane.enter()
        under_way, most = under_way + 1, max(most, under_way + 1)
        await asyncio.sleep(0.005)
        under_way -= 1
        lane.leave()

    await asyncio.gather(*(work() for _ in range(18)))

    assert most == 2
    assert counted(metrics, "tuwen_requests_shed_total", lane="serving") == 0


async def test_a_request_that_waits_for_a_store_holds_up_no_other_of_its_worker() -> None:
    lane = lanes(Metrics(), workers=64)[SERVING_LANE]

    async with asyncio.timeout(0.1):
        await lane.enter()
        await lane.enter()


async def test_a_full_queue_is_refused_at_once() -> None:
    metrics = Metrics()
    lane = Lane("serving", places=1, metrics=metrics)
    async with crowded(lane, waiting=QUEUE_PLACES):
        with pytest.raises(LaneFull):
            async with asyncio.timeout(0.1):
                await lane.enter()

    assert counted(metrics, "tuwen_requests_shed_total", lane="serving") == 1


async def test_a_burst_leaves_the_queue_long_and_a_lasting_overload_makes_it_short() -> None:
    lane = Lane("serving", places=1, metrics=Metrics())
    async with crowded(lane, waiting=CROWDED_PLACES):
        for _ in range(CROWD - 1):
            lane.refuse()
        after_a_burst = lane.is_full
        lane.refuse()

        assert (after_a_burst, lane.is_full) == (False, True)


async def test_requests_that_were_just_let_in_count_as_waiting_until_they_have_begun() -> None:
    lane = Lane("serving", places=1, metrics=Metrics())
    for _ in range(QUEUE_PLACES):
        lane.expect()
    at_first = lane.is_full
    await asyncio.sleep(0)

    assert (at_first, lane.is_full) == (True, False)


async def test_nobody_waits_for_a_place_for_ever() -> None:
    lane = Lane("serving", places=1, metrics=Metrics())

    await lane.enter()
    with pytest.raises(LaneFull):
        async with asyncio.timeout(3):
            await lane.enter()
    lane.leave()
    await lane.enter()


async def send(app: object, **sent: object) -> httpx.Response:
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://t") as client:  # type: ignore[arg-type]
        return await client.post("/", **sent)  # type: ignore[arg-type]


async def test_an_error_nobody_foresaw_is_a_problem_with_its_id_in_the_log(caplog: pytest.LogCaptureFixture) -> None:
    metrics = Metrics()

    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        raise ZeroDivisionError("Zq9canary7")

    with caplog.at_level(logging.ERROR):
        answer = await send(RequestEnvelope(broken, metrics), headers={"X-Request-Id": "trace-1"})

    assert (answer.status_code, answer.json()["request_id"]) == (500, "trace-1")
    assert "Zq9canary7" not in answer.text
    line = orjson.loads(JsonLines().format(caplog.records[0]))
    assert "ZeroDivisionError" in line["exception"]
    assert counted(metrics, "tuwen_http_requests_total", method="POST", route="unmatched", status="500") == 1


async def test_an_answer_that_breaks_off_is_cut_and_not_followed_by_another() -> None:
    async def broken(scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": []})
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await send(RequestEnvelope(broken, Metrics()))


async def test_a_body_is_counted_whatever_length_it_states() -> None:
    async def echo(scope: Scope, receive: Receive, send: Send) -> None:
        response: Response = PlainTextResponse(str(len(await Request(scope, receive).body())))
        await response(scope, receive, send)

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(4):
            yield b"x" * 30

    app = BodyLimit(echo, max_bytes=100, seconds=5)
    assert (await send(app, content=b"x" * 100)).text == "100"
    for content in (b"x" * 101, chunks()):
        with pytest.raises(Exception, match="at most 100 bytes"):
            await send(app, content=content)


async def test_all_bodies_together_have_a_limit_and_give_back_what_they_took() -> None:
    arrived, may_end = [asyncio.Event() for _ in range(2)], asyncio.Event()

    async def echo(scope: Scope, receive: Receive, send: Send) -> None:
        response: Response = PlainTextResponse(str(len(await Request(scope, receive).body())))
        await response(scope, receive, send)

    async def slow(place: int) -> AsyncIterator[bytes]:
        yield b"x" * (FREE_BYTES + 60)
        arrived[place].set()
        await may_end.wait()

    app = BodyLimit(echo, max_bytes=1 << 20, seconds=5, bodies_bytes=150)
    slow_ones = [asyncio.create_task(send(app, content=slow(place))) for place in range(2)]
    await asyncio.gather(*(one.wait() for one in arrived))
    with pytest.raises(HTTPException) as refused:
        await send(app, content=b"x" * (FREE_BYTES + 60))
    assert refused.value.status_code == 503
    assert refused.value.headers == {"Connection": "close", "Retry-After": "1"}
    assert (await send(app, content=b"x" * FREE_BYTES)).is_success  # beginnings are free

    may_end.set()
    assert [one.text for one in await asyncio.gather(*slow_ones)] == [str(FREE_BYTES + 60)] * 2
    assert (await send(app, content=b"x" * (FREE_BYTES + 150))).is_success
