"""Rows 2-6: a store is killed or frozen under load; answers go on, say what they lack, become whole by themselves."""

from __future__ import annotations

import asyncio
import time

import httpx
import pytest

from tests.trust.children import StoreChild
from tests.trust.figures import Row
from tests.trust.ledger import Ledger
from tests.trust.ordeal import POSTGRES, VALKEY, judge, under_load
from tests.trust.sessions import sign_in
from tests.trust.world import KEYS, Broken

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
FREEZE_SECONDS, LONG_FREEZE_SECONDS = 1.5, 10  # the long one outlasts every limit on a connection and a statement
ANSWER_SECONDS = 11  # a connection that says nothing is given up, another waited for
SETTLING_SECONDS = (1, 5)  # the load goes on after it is whole again: what was cold is asked for


FAULTS = [
    pytest.param(POSTGRES, "kill", id="postgres-killed", marks=pytest.mark.trust(2)),
    pytest.param(POSTGRES, "freeze", id="postgres-frozen", marks=pytest.mark.trust(3)),
    pytest.param(VALKEY, "kill", id="valkey-killed", marks=pytest.mark.trust(4)),
    pytest.param(VALKEY, "freeze", id="valkey-frozen", marks=pytest.mark.trust(5)),
]


@pytest.mark.parametrize(("store", "fault"), FAULTS)
async def test_recommendations_go_on_without_a_store_and_when_it_is_back(
    world: Broken, row: Row, at_full, store, fault
):
    child: StoreChild = getattr(world, store)
    per_second, seconds, settling = at_full(8, 50), at_full(2, 15), at_full(*SETTLING_SECONDS)
    heal = child.start if fault == "kill" else child.thaw

    ordeal = await under_load(
        world, per_second, seconds=seconds, settling=settling, broken=getattr(child, fault), healed=heal
    )

    what = "kill -9" if fault == "kill" else "SIGSTOP"
    row.done = (
        f"{what} for {seconds} s, then {settling} s whole, all at {per_second} requests/s, a quarter of them for "
        "unknown people, an eighth recorded"
    )
    judge(row, ordeal, store, is_full=at_full(False, True))


@pytest.mark.parametrize(
    "store", [pytest.param("postgres", marks=pytest.mark.trust(2)), pytest.param("valkey", marks=pytest.mark.trust(4))]
)
async def test_no_acknowledged_event_is_lost_or_kept_twice_with_a_store(world: Broken, row: Row, at_full, store):
    child: StoreChild = getattr(world, store)
    client, ledger, kills = world.client(), Ledger(world, f"sent-{store}"), at_full(1, 20)
    for kill in range(kills):
        sending = asyncio.create_task(ledger.send(client, seconds=1.0))
        await asyncio.sleep(0.3 + 0.6 * (kill * 0.618 % 1))
        child.kill()
        await sending
        await asyncio.to_thread(child.start)
        await ledger.send_again(client)
    client.close()

    row.done = f"{kills} kill -9 while exposures and behaviours came in; what was not acknowledged was sent again"
    ledger.judge(row)


@pytest.mark.parametrize(
    "store", [pytest.param("postgres", marks=pytest.mark.trust(3)), pytest.param("valkey", marks=pytest.mark.trust(5))]
)
async def test_no_acknowledged_event_is_lost_or_kept_twice_with_a_frozen_store(world: Broken, row: Row, at_full, store):
    child: StoreChild = getattr(world, store)
    client, ledger, freezes = world.client(), Ledger(world, f"frozen-{store}"), at_full(1, 20)
    for freeze in range(freezes):
        sending = asyncio.create_task(ledger.send(client, seconds=1.0))
        await asyncio.sleep(0.3 + 0.6 * (freeze * 0.618 % 1))
        child.freeze()
        await asyncio.sleep(LONG_FREEZE_SECONDS if freeze % 5 == 4 else FREEZE_SECONDS)
        child.thaw()
        await sending
        await ledger.send_again(client)
    client.close()

    row.done = (
        f"{freezes} SIGSTOP of {FREEZE_SECONDS} s, every fifth of {LONG_FREEZE_SECONDS} s, while exposures and "
        "behaviours came in; what was not acknowledged was sent again"
    )
    ledger.judge_answers(row, within_seconds=ANSWER_SECONDS)
    ledger.judge(row)


async def answers_of_a_frozen_postgres(world: Broken, seconds: float) -> dict[str, tuple[httpx.Response, float]]:
    """What cannot be done without PostgreSQL, asked while it is frozen for so long: answers and their seconds."""
    post = {"post_id": "of-a-freeze", "title": "t", "expires_at": "2026-01-01T00:00:00Z"}
    headers = {"Authorization": f"Bearer {KEYS['admin']}"}
    async with httpx.AsyncClient(base_url=world.api.address, headers=headers, timeout=30) as client:
        with httpx.Client(base_url=world.api.address) as console:
            client.cookies = sign_in(console, KEYS["admin"]).cookies

        async def timed(method: str, path: str, **sent: object) -> tuple[httpx.Response, float]:
            began = time.monotonic()
            return await client.request(method, path, **sent), time.monotonic() - began

        asked = {
            "POST /posts": timed("POST", "/posts", json={"posts": [post]}),
            "DELETE /users": timed("DELETE", "/users/nobody-of-a-freeze"),
            "GET /admin": timed("GET", "/admin"),
        }
        world.postgres.freeze()
        answering = asyncio.gather(*asked.values())
        await asyncio.sleep(seconds)
        world.postgres.thaw()
        return dict(zip(asked, await answering, strict=True))


@pytest.mark.trust(3)
async def test_what_cannot_be_done_while_postgres_is_frozen_is_refused_in_time(world: Broken, row: Row, at_full):
    seconds = at_full(FREEZE_SECONDS, ANSWER_SECONDS + 1)
    answers = await answers_of_a_frozen_postgres(world, seconds)

    refused = [one for one, _ in answers.values() if one.status_code == 503 and "retry-after" in one.headers]
    done = [one for one, _ in answers.values() if one.is_success]
    row.done = f"{', '.join(answers)} at a SIGSTOP of {seconds} s"
    row.at_most(ANSWER_SECONDS, "longest answer of these", max(seconds for _, seconds in answers.values()), "s")
    row.none(of_these_neither_done_nor_refused=len(answers) - len(refused) - len(done))
    row.at_least(at_full(0, len(answers)), "of these refused with Retry-After", len(refused))  # none, if thawed early


@pytest.mark.trust(6)
async def test_without_any_store_popular_and_fresh_posts_remain(world: Broken, row: Row, at_full):
    per_second, seconds, settling = at_full(8, 50), at_full(2, 15), at_full(*SETTLING_SECONDS)
    looks: list[tuple[int, int, str]] = []

    def broken() -> None:
        world.valkey.kill()
        world.postgres.kill()

    def healed() -> None:
        looks.append(health(world))
        world.valkey.start()
        world.postgres.start()

    ordeal = await under_load(world, per_second, seconds=seconds, settling=settling, broken=broken, healed=healed)

    pages = [one.json() for one in ordeal.fault.of(200)]
    reasons = {item["reason"]["kind"] for page in pages if "history" in page["degraded"] for item in page["items"]}
    row.done = f"both killed for {seconds} s, then {settling} s whole, all at {per_second} requests/s"
    judge(row, ordeal, POSTGRES, VALKEY, is_full=at_full(False, True))
    assert reasons == {"popular", "fresh"}
    assert looks == [(200, 200, "degraded")]


def health(world: Broken) -> tuple[int, int, str]:
    live, ready = (httpx.get(f"{world.api.address}/health/{name}", timeout=5) for name in ("live", "ready"))
    return live.status_code, ready.status_code, ready.json()["status"]
