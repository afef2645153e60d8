"""What happened a moment ago is in the next answer, of every process; people are new only once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import anyio
import httpx
import pytest
from fastapi import FastAPI

from app.candidates.reindex import run_reindex
from app.domain import Role
from app.main import create_app
from app.storage.stores import Stores
from tests.api.conftest import Caller

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("generation")]
WHEN = "2026-03-01T12:00:00+08:00"


@pytest.fixture
async def elsewhere(stores: Stores, secrets: dict[Role, str]) -> AsyncIterator[httpx.AsyncClient]:
    """A client of another process of the same service."""
    other: FastAPI = create_app(stores)
    async with other.router.lifespan_context(other):
        headers = {"Authorization": f"Bearer {secrets[Role.CLIENT]}"}
        transport = httpx.ASGITransport(other)
        async with httpx.AsyncClient(transport=transport, base_url="http://elsewhere", headers=headers) as client:
            with anyio.fail_after(20):
                while (await client.get("/health/ready")).status_code != 200:
                    await anyio.sleep(0.05)
            yield client


async def page(client: httpx.AsyncClient, user_id: str = "u1", **body: Any) -> dict[str, Any]:
    answer = await client.post("/recommend", json={"user_id": user_id} | body)
    assert answer.status_code == 200, answer.text
    content: dict[str, Any] = answer.json()
    return content


def ids(found: dict[str, Any]) -> list[str]:
    return [item["post_id"] for item in found["items"]]


async def did(client: httpx.AsyncClient, post_id: str, kind: str = "like", user_id: str = "u1") -> None:
    act = {"user_id": user_id, "post_id": post_id, "kind": kind}
    answer = await client.post("/behaviours", json={"behaviours": [act]})
    assert answer.json()["accepted"] == 1, answer.text


async def test_a_behaviour_is_in_the_next_answer_of_every_process(
    client: httpx.AsyncClient, elsewhere: httpx.AsyncClient
) -> None:
    assert {item["reason"]["kind"] for item in (await page(elsewhere))["items"]} == {"fresh"}

    await did(client, "p2")

    for one in (client, elsewhere):
        reason = (await page(one, include_seen=True))["items"][0]["reason"]
        assert (reason["kind"], reason["reference_post_id"], reason["behaviour"]) == ("own", "p2", "like")
        assert reason["text"] == "Because you liked it" or "海鲜面 2" in reason["text"]


async def test_a_rejection_is_honoured_in_the_next_answer_of_every_process(
    client: httpx.AsyncClient, elsewhere: httpx.AsyncClient
) -> None:
    assert "p2" in ids(await page(elsewhere))

    await did(client, "p2", kind="not_interested")

    for one in (client, elsewhere):
        assert "p2" not in ids(await page(one, include_seen=True))


@pytest.mark.parametrize("call", ["PATCH", "DELETE"])
async def test_hiding_and_deleting_act_on_the_next_answer_of_every_process(
    client: httpx.AsyncClient, elsewhere: httpx.AsyncClient, ops: httpx.AsyncClient, call: str
) -> None:
    assert "p1" in ids(await page(elsewhere))

    await ops.request(call, "/posts/p1", json={"hidden": True} if call == "PATCH" else None)

    for one in (client, elsewhere):
        assert "p1" not in ids(await page(one, include_seen=True))


async def test_a_new_post_is_recommended_without_a_reindex_by_every_process(
    client: httpx.AsyncClient, elsewhere: httpx.AsyncClient, ops: httpx.AsyncClient
) -> None:
    await ops.post("/posts", json={"posts": [{"post_id": "new", "title": "新开的海鲜面", "category": "food"}]})

    for one in (client, elsewhere):
        with anyio.fail_after(20):  # two seconds on a machine that is not busy with tests
            while "new" not in ids(await page(one, include_seen=True)):
                await anyio.sleep(0.05)


async def test_a_feed_goes_on_without_repeats_across_a_change_of_generation(
    client: httpx.AsyncClient, stores: Stores, app: FastAPI
) -> None:
    first = await page(client, k=2)
    generation = await run_reindex(stores, requested_by="test")
    with anyio.fail_after(20):
        while (await page(client, "other"))["generation"] != generation:
            await anyio.sleep(0.05)

    second = await page(client, k=2, cursor=first["cursor"])
    third = await page(client, k=2, cursor=second["cursor"])

    assert first["generation"] != second["generation"] == generation
    assert sorted(ids(first) + ids(second) + ids(third)) == ["p0", "p1", "p2", "p3", "p4"]
    assert third["cursor"] is None


async def test_two_quick_calls_differ(client: httpx.AsyncClient) -> None:
    first, second = ids(await page(client, k=2)), ids(await page(client, k=2))

    assert not set(first) & set(second)


async def test_attributes_are_filtered_by_value_and_by_any_of_several(
    client: httpx.AsyncClient, ops: httpx.AsyncClient
) -> None:
    for post_id, attributes in (("p0", {"price": 2, "open": True}), ("p1", {"price": 3}), ("p2", {"price": "2"})):
        await ops.patch(f"/posts/{post_id}", json={"attributes": attributes})

    async def found(**attributes: Any) -> list[str]:
        return sorted(ids(await page(client, include_seen=True, filter={"attributes": attributes})))

    assert await found(price=2.0) == ["p0"]
    assert await found(price=[2, 3]) == ["p0", "p1"]
    assert await found(price=[2, 3], open=True) == ["p0"]
    assert await found(open=1) == []


async def test_a_session_needs_no_stored_user(client: httpx.AsyncClient) -> None:
    found = await page(client, "nobody", session=[{"post_id": "p0", "kind": "click"}])

    assert found["items"][0]["reason"]["reference_post_id"] == "p0"
    assert "p0" not in ids(found)


async def test_attributes_at_sign_up_bring_what_people_like_the_newcomer_liked(client: httpx.AsyncClient) -> None:
    await client.put("/users/known", json={"attributes": {"age": 24, "gender": "F"}})
    await did(client, "p3", user_id="known")

    await client.put("/users/new", json={"attributes": {"age": 23, "gender": "F"}})

    reasons = [item["reason"] for item in (await page(client, "new"))["items"]]
    assert {reason["kind"] for reason in reasons} == {"similar_attributes"}
    assert all("known" not in reason["text"] for reason in reasons)


async def test_an_anonymous_user_becomes_an_account(client: httpx.AsyncClient, caller: Caller) -> None:
    await client.put("/users/device", json={"attributes": {"gender": "F"}})
    await did(client, "p2", user_id="device")
    await did(client, "p4", kind="not_interested", user_id="device")
    before = await page(client, "account")

    merged = (await client.post("/users/account/merge", json={"anonymous_id": "device"})).json()
    again = (await client.post("/users/account/merge", json={"anonymous_id": "device"})).json()

    assert merged == {
        "user_id": "account",
        "moved": {"exposures": 0, "behaviours": 1, "rejections": 1, "dead_letters": 0},
    }
    assert set(again["moved"].values()) == {0}
    after = await page(client, "account", include_seen=False)
    assert {"p2", "p4"} <= set(ids(before))
    assert not {"p2", "p4"} & set(ids(after))
    assert after["items"][0]["reason"]["kind"] == "own"
    assert {item["reason"]["kind"] for item in (await page(client, "device"))["items"]} == {"fresh"}


async def test_nobody_is_merged_with_himself_or_into_somebody_erased(
    client: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    await did(client, "p2", user_id="device")
    await admin.delete("/users/gone")

    himself = await client.post("/users/device/merge", json={"anonymous_id": "device"})
    erased = await client.post("/users/gone/merge", json={"anonymous_id": "device"})

    assert (himself.status_code, erased.status_code) == (422, 410)
