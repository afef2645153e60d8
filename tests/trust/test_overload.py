"""Row 19: more is asked than the service can do. It does what it can, quickly, and refuses the rest at once."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import count
from statistics import mean

import pytest

from app.storage.servers import free_port
from tests.trust.children import ApiChild, ended
from tests.trust.figures import Row
from tests.trust.load import Answers, Client, no_collections, percentile_ms
from tests.trust.world import KEYS, WORLD, Broken

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
SERVER_CORE, CLIENT_CORE = 0, 1
QUIET_SHARE = 0.3  # of what it can do
AT_ONCE = 3  # clients that together keep it busy all the time
ROUNDS = 8  # a machine is not always equally quick: what it can do is measured before and after each overload
GOODPUT_PERCENT, SLOWER_TIMES, REFUSED_MS = 90, 2, 50
floods = count(1)

Request = Callable[[Client, int], bytes]


@pytest.fixture(scope="module")
def alone(world: Broken) -> Iterator[Broken]:
    """A second API and its stores on one core; who asks stays on another."""
    cores = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else set()
    core = SERVER_CORE if {SERVER_CORE, CLIENT_CORE} <= cores else None
    with ExitStack() as stack:
        if core is not None:
            os.sched_setaffinity(0, {CLIENT_CORE})
            stack.callback(os.sched_setaffinity, 0, cores)
            for store in (world.postgres, world.valkey):
                store.stay_on({SERVER_CORE})
                stack.callback(store.stay_on, cores)
        api = ApiChild(world.api.settings.model_copy(update={"port": free_port(None)}), KEYS, core=core)
        stack.enter_context(ended(api))
        api.start()
        yield replace(world, api=api)


def page_for(client: Client, number: int) -> bytes:
    return client.post("/recommend", {"user_id": f"u{number % WORLD.users_count}", "k": 10})


def post_for(client: Client, number: int) -> bytes:
    return client.get(f"/posts/p{number % WORLD.posts_count}")


def exposure_for(client: Client, number: int) -> bytes:
    shown = {"user_id": "shown-to", "post_id": "p1", "shown_at": "2026-01-01T00:00:00Z"}
    return client.post("/exposures", {"exposures": [shown | {"exposure_id": f"flood-{next(floods)}-{number}"}]})


async def capacity(client: Client, seconds: float, request: Request = page_for) -> float:
    """Answers a second to those who ask again as soon as they are answered."""
    ends_at = time.monotonic() + seconds

    async def ask(number: int) -> int:
        answered = 0
        while time.monotonic() < ends_at:
            answered += (await client.ask(request(client, number + answered))).is_good
        return answered

    with no_collections():
        return sum(await asyncio.gather(*(ask(number) for number in range(AT_ONCE)))) / seconds


@dataclass
class Overload:
    """What came of asking so many times too much."""

    looks: Answers = field(default_factory=Answers)  # of health and operators
    answers: Answers = field(default_factory=Answers)
    could: float = 0.0  # answers that it could have given in that time, by what it could before and after


async def health_during(world: Broken, loading: asyncio.Task[Answers]) -> Answers:
    """What the probes and the operator got meanwhile."""
    ops, answers = world.client("ops"), []
    while not loading.done():
        for path in ("/health/ready", "/generations"):
            answers.append(await ops.ask(ops.get(path)))
        await asyncio.sleep(0.25)
    ops.close()
    return Answers(answers)


@pytest.mark.trust(19)
async def test_an_overload_leaves_the_good_answers_quick_and_refuses_the_rest_at_once(alone: Broken, row: Row, at_full):
    client = alone.client()
    is_full, rounds, seconds, measured = at_full(False, True), at_full(1, ROUNDS), at_full(1, 8), at_full(0.5, 4)
    await capacity(client, measured)  # every user is known by then
    peaks = [await capacity(client, measured)]
    quiet = Answers()
    overloads: dict[int, Overload] = {times: Overload() for times in (2, 5)}
    for _ in range(rounds):
        quiet.all.extend((await client.for_seconds(measured, QUIET_SHARE * peaks[-1], partial(page_for, client))).all)
        for times, one in overloads.items():
            loading = asyncio.create_task(client.for_seconds(seconds, times * peaks[-1], partial(page_for, client)))
            one.looks.all.extend((await health_during(alone, loading)).all)
            one.answers.all.extend((await loading).all)
            peaks.append(await capacity(client, measured))
            one.could += seconds * mean(peaks[-2:])
    client.close()
    row.done = (
        f"{rounds * seconds} s each at 2 and 5 times the {mean(peaks):.0f} answers/s that one core can give, open loop"
    )

    quiet_ms = percentile_ms(quiet.of(200), 0.99)
    row.saw(f"p99 at {100 * QUIET_SHARE:.0f} % of what it can do", quiet_ms, "ms")
    for times, one in overloads.items():
        looks, answers = one.looks, one.answers
        good, refused = answers.of(200), answers.of(503)
        row.none(
            **{
                f"neither_answered_nor_refused_at_{times}x": len(answers.all) - len(good) - len(refused),
                f"refused_without_retry_after_at_{times}x": sum(b"retry-after" not in one.head for one in refused),
                f"health_and_operators_refused_at_{times}x": sum(not one.is_good for one in looks.all),
            }
        )
        row.at_least(GOODPUT_PERCENT if is_full else 0, f"goodput at {times}x", 100 * len(good) / one.could, "%")
        slower = percentile_ms(good, 0.99) / quiet_ms
        row.at_most(SLOWER_TIMES if is_full else 1000, f"p99 of the good at {times}x against quiet", slower, "times")
        row.at_most(
            REFUSED_MS if is_full else 5_000, f"p99 of the refusals at {times}x", percentile_ms(refused, 0.99), "ms"
        )
        row.saw(f"p99 of health and operators at {times}x", percentile_ms(looks.all, 0.99), "ms")


@pytest.mark.trust(19)
@pytest.mark.parametrize("request_for", [post_for, exposure_for])
async def test_a_flood_of_reading_or_writing_is_refused_beside_pages(alone: Broken, row: Row, at_full, request_for):
    client, flooding = alone.client(), alone.client()
    seconds, measured = at_full(1, 15), at_full(0.5, 5)
    peak = await capacity(flooding, measured, request_for)
    pages_per_second = 0.1 * await capacity(client, measured)
    flood = asyncio.create_task(flooding.for_seconds(seconds, 5 * peak, partial(request_for, flooding)))
    pages = asyncio.create_task(client.for_seconds(seconds, pages_per_second, partial(page_for, client)))
    looks = await health_during(alone, flood)
    flooded, paged = await flood, await pages
    client.close()
    flooding.close()

    name = request_for(client, 0).split(b" HTTP", 1)[0].decode()
    row.done = f"{seconds} s at 5 times the {peak:.0f} a second of {name}, beside pages"
    refused = flooded.of(503)
    row.none(
        **{
            f"neither_answered_nor_refused_of_{name}": len(flooded.all) - len(flooded.of(200)) - len(refused),
            f"refused_without_retry_after_of_{name}": sum(b"retry-after" not in one.head for one in refused),
            f"health_and_operators_refused_beside_{name}": sum(not one.is_good for one in looks.all),
        }
    )
    row.saw(f"good of {name}", 100 * len(flooded.of(200)) / seconds / peak, "% of what it can do")
    row.saw(f"good pages beside {name}", paged.good_percent, "%")
    row.saw(f"p99 of pages beside {name}", percentile_ms(paged.of(200), 0.99), "ms")
    row.saw(f"p99 of refusals of {name}", percentile_ms(refused, 0.99), "ms")
