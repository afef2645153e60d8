"""Rows 2 and 20, with two workers: renewed one after the other, and one lost while no other can take its place."""

from __future__ import annotations

import asyncio
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path

import pytest

from tests.trust.children import PATIENCE_SECONDS, wait_until
from tests.trust.figures import Row
from tests.trust.load import Answer, Answers, percentile_ms
from tests.trust.ordeal import GOOD_PERCENT, page_for, until_whole
from tests.trust.world import Broken, broken_world

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
WORKERS = 2
LOOK_SECONDS = 0.5


@pytest.fixture(scope="module")
def crew(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Broken]:
    """A service with two workers."""
    with broken_world(tmp_path_factory.mktemp("crew"), workers=WORKERS) as world:
        wait_until(lambda: len(asyncio.run(_answering(world))) == WORKERS, "there are not two workers")
        yield world


def workers(world: Broken) -> set[int]:
    """The process ids of the workers, of those that do not take requests yet, too."""
    assert world.api.process is not None
    parent = world.api.process.pid
    found = set()
    for child in Path(f"/proc/{parent}/task/{parent}/children").read_text().split():
        with suppress(OSError):  # gone meanwhile
            if b"--inherited-socket" in Path(f"/proc/{child}/cmdline").read_bytes():
                found.add(int(child))
    return found


@pytest.mark.trust(20)
async def test_workers_renewed_one_by_one_refuse_and_lose_nothing(crew: Broken, row: Row, at_full):
    renewals, per_second = at_full(1, 10), at_full(8, 50)
    pages, looks, seconds = Answers(), Answers(), []
    for number in range(renewals):
        before, began, client = workers(crew), time.monotonic(), crew.client()
        are_others = partial(_are_others, crew, before, until=began + PATIENCE_SECONDS)
        crew.api.renew()
        loading = client.open_loop(per_second, partial(page_for, client), until=are_others, seed=number)
        paged, looked = await asyncio.gather(loading, _looks(crew, until=are_others))
        pages.all.extend(paged.all)
        looks.all.extend(looked)
        seconds.append(time.monotonic() - began)
        client.close()

    row.done = f"{renewals} SIGHUP at {per_second} requests/s: each of two workers renewed"
    row.none(not_answered=len(pages.all) - len(pages.of(200)), not_ready=len(looks.all) - len(looks.of(200)))
    row.saw("p99 while workers are renewed", percentile_ms(pages.all, 0.99), "ms")
    row.saw("both renewed within", max(seconds), "s")
    assert pages.all
    assert looks.all


def _are_others(crew: Broken, before: set[int], *, until: float) -> bool:
    now = workers(crew)
    assert time.monotonic() < until, f"not renewed: {before} are {now}"
    return len(now) == WORKERS and not now & before


async def _looks(crew: Broken, *, until: Callable[[], bool]) -> list[Answer]:
    """What /health/ready says meanwhile, to those who connect anew and to one who stays connected."""
    looks, staying = [], crew.client()
    while not until():
        anew = crew.client()
        looks += [await observer.ask(observer.get("/health/ready")) for observer in (anew, staying)]
        anew.close()
        await asyncio.sleep(0.05)
    staying.close()
    return looks


@pytest.mark.trust(2)
async def test_a_worker_lost_while_postgres_is_away_is_replaced_when_it_is_back(crew: Broken, row: Row, at_full):
    per_second, seconds = at_full(8, 50), at_full(4, 15)
    left, lost = sorted(workers(crew))  # in the order in which they would be renewed
    client, is_over = crew.client(), asyncio.Event()
    crew.postgres.kill()
    os.kill(lost, signal.SIGKILL)
    crew.api.renew()  # no other can start: the one that is left stays

    loading = asyncio.create_task(client.open_loop(per_second, partial(page_for, client), until=is_over.is_set))
    await asyncio.sleep(seconds)
    stayed = left in workers(crew)
    healing_at = time.monotonic()
    await asyncio.to_thread(crew.postgres.start)
    recovery = await until_whole(client)
    began = time.monotonic()
    while len(await _answering(crew)) < WORKERS:
        assert time.monotonic() - began < PATIENCE_SECONDS, "nobody took the place of the lost one"
        await asyncio.sleep(LOOK_SECONDS)  # these looks would be a load of their own
    replaced = recovery + time.monotonic() - began
    is_over.set()
    answers = await loading
    client.close()

    row.done = f"one of two workers killed while PostgreSQL was away for {seconds} s, asked until two answer again"
    row.at_least(GOOD_PERCENT, "good of the one that was left", answers.good_percent, "%")
    returned = answers.after(healing_at)
    row.saw("p99 while the other one starts", percentile_ms(returned.all, 0.99), "ms")
    row.none(workers_lost_besides=int(not stayed))
    row.at_most(10, "it whole again after", recovery, "s")
    row.saw("two workers answer again after", replaced, "s")


async def _answering(crew: Broken) -> set[int]:
    """The process ids that new connections meet, all at once: of some that follow each other one may take all."""
    clients = [crew.client("admin") for _ in range(20)]
    answers = await asyncio.gather(*(one.ask(one.get("/health")) for one in clients))
    for one in clients:
        one.close()
    return {answer.json()["process_id"] for answer in answers if answer.is_good}
