from __future__ import annotations

import httpx
import pytest
from pydantic import SecretStr

from app.settings import Settings
from app.storage.stores import Stores
from tests.intake.records import rows

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("generation")]


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return settings.model_copy(update={"redis_url": SecretStr("redis://127.0.0.1:1")})


async def test_recommendations_go_on_and_say_what_they_lack(client: httpx.AsyncClient) -> None:
    page = (await client.post("/recommend", json={"user_id": "u1", "k": 3})).json()

    assert len(page["items"]) == 3
    assert page["degraded"] == ["cache"]
    assert page["cursor"] is None


async def test_what_is_hidden_here_is_still_gone_with_the_next_request(
    client: httpx.AsyncClient, ops: httpx.AsyncClient
) -> None:
    await ops.patch("/posts/p1", json={"hidden": True})
    await ops.delete("/posts/p2")

    page = (await client.post("/recommend", json={"user_id": "u1"})).json()

    assert sorted(item["post_id"] for item in page["items"]) == ["p0", "p3", "p4"]


async def test_events_are_taken_and_an_erasure_is_not_said_to_be_whole(
    client: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    shown = {"user_id": "u1", "post_id": "p0", "shown_at": 1772337600}

    assert (await client.post("/exposures", json={"exposures": [shown]})).json()["accepted"] == 1
    assert (await admin.delete("/users/u1")).status_code == 503


async def test_attributes_are_taken_and_a_wish_for_no_personal_list_is_to_be_repeated(
    client: httpx.AsyncClient, stores: Stores
) -> None:
    for body, status in (
        ({"attributes": {"age": 24}}, 200),
        ({"attributes": {"age": 25}, "personalised": False}, 503),
        ({"personalised": False}, 503),  # the database has it already, the cache has not
        ({"personalised": True}, 200),
    ):
        answer = await client.put("/users/u1", json=body)
        assert answer.status_code == status, body
        assert ("Retry-After" in answer.headers) == (status == 503)

    assert await rows(stores, "attributes, personalised FROM users") == [({"age": 25}, True)]


async def test_merging_is_to_be_repeated(client: httpx.AsyncClient, stores: Stores) -> None:
    shown = {"user_id": "device", "post_id": "p0", "shown_at": 1772337600}
    await client.post("/exposures", json={"exposures": [shown]})

    answers = [await client.post("/users/u1/merge", json={"anonymous_id": "device"}) for _ in range(2)]

    assert [answer.status_code for answer in answers] == [503, 503]
    assert await rows(stores, "user_id FROM exposures") == [("u1",)]


async def test_it_is_ready_and_says_that_it_is_degraded(client: httpx.AsyncClient) -> None:
    assert (await client.get("/health/ready")).json() == {"status": "degraded", "degraded": ["cache"]}
