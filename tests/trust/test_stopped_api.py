"""Rows 1 and 20: the API is killed while events come in, and stopped while it is asked."""

from __future__ import annotations

import asyncio
import random
import time
from functools import partial

import pytest

from tests.trust.figures import Row
from tests.trust.ledger import Ledger
from tests.trust.load import REFUSED, Answer, Answers, Client, percentile_ms
from tests.trust.ordeal import page_for
from tests.trust.world import Broken

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
EXIT_SECONDS = 10


@pytest.mark.trust(1)
async def test_no_acknowledged_event_is_lost_or_kept_twice_with_the_api(world: Broken, row: Row, at_full):
    kills, chance, ready = at_full(1, 20), random.Random(1), []
    client, ledger = world.client(), Ledger(world, "sent-api")
    for _ in range(kills):
        sending = asyncio.create_task(ledger.send(client, seconds=1.0))
        await asyncio.sleep(chance.uniform(0.2, 0.9))
        world.api.kill()
        await sending
        ready.append(await asyncio.to_thread(world.api.start))
        await ledger.send_again(client)
    client.close()

    row.done = (
        f"{kills} kill -9 of the API while exposures and behaviours came in; what was not acknowledged sent again"
    )
    ledger.judge(row)
    row.saw("ready again after at most", max(ready), "s")


@pytest.mark.trust(20)
async def test_a_stop_loses_and_refuses_no_request_before_the_port_is_closed(world: Broken, row: Row, at_full):
    stops, per_second = at_full(1, 20), at_full(8, 50)
    drain_seconds = world.api.settings.drain_seconds
    lost, busy, shut_early, ready_was_first, seconds, good, draining = 0, 0, 0, 0, [], [], Answers()
    for number in range(stops):
        client, observer = world.client(), world.client()
        loading = asyncio.create_task(client.for_seconds(5.0, per_second, partial(page_for, client), seed=number))
        looking = asyncio.create_task(_looks(observer))
        await asyncio.sleep(1.0)
        stopped_at = time.monotonic()
        seconds.append(await asyncio.to_thread(world.api.stop))
        answers, looks = await loading, await looking
        lost += len([one for one in answers.all if one.status not in (200, 503, REFUSED)])
        busy += len(answers.after(0, stopped_at).of(503))  # as in any overload
        shut_early += len(answers.after(stopped_at, stopped_at + 0.9 * drain_seconds).of(REFUSED))
        good += answers.of(200)
        draining.all += answers.after(stopped_at).all
        ready_was_first += 503 in [one.status for one in looks]
        client.close()
        observer.close()
        await asyncio.to_thread(world.api.start)

    row.done = f"{stops} SIGTERM at {per_second} requests/s on kept-alive connections"
    row.none(lost=lost, refused_after_sigterm=len(draining.of(503)), port_closed_before_the_drain_was_over=shut_early)
    row.none(ready_did_not_say_503_first=stops - ready_was_first)
    row.at_least(0.5 * stops * drain_seconds * per_second, "answered after SIGTERM", len(draining.of(200)))
    row.saw("refused before SIGTERM", busy)
    row.saw("p99 of the answered", percentile_ms(good, 0.99), "ms")
    row.at_most(at_full(60, EXIT_SECONDS), "ended within", max(seconds), "s")  # a busy CI machine tells nothing of it


async def _looks(client: Client) -> list[Answer]:
    """What /health/ready says until nobody answers any longer."""
    looks: list[Answer] = []
    ends_at = time.monotonic() + 30
    while time.monotonic() < ends_at and (not looks or looks[-1].status in (200, 503)):
        looks.append(await client.ask(client.get("/health/ready")))
        await asyncio.sleep(0.05)
    return looks
