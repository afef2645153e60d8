from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from app.intake.posts import PostRecord, save_posts, set_hidden
from app.storage.stores import Stores

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("generation")]
SHOWN = {"user_id": "u1", "post_id": "p0", "shown_at": "2026-03-01T12:00:00+08:00"}


async def ids(client: httpx.AsyncClient, **body: Any) -> list[str]:
    answer = await client.post("/recommend", json={"user_id": "u1"} | body)
    assert answer.status_code == 200, answer.text
    return [item["post_id"] for item in answer.json()["items"]]


async def test_a_new_user_gets_posts_each_with_a_reason(client: httpx.AsyncClient, generation: str) -> None:
    page = (await client.post("/recommend", json={"user_id": "new", "k": 3})).json()

    assert page["generation"] == generation
    assert [item["reason"]["kind"] for item in page["items"]] == ["fresh"] * 3
    assert set(page["items"][0]["probabilities"]) == {"click", "like", "share", "favourite", "comment"}
    assert (page["shortfall"], page["degraded"], page["ignored_ids"]) == (None, [], [])


async def test_what_was_acted_on_becomes_the_reason(client: httpx.AsyncClient) -> None:
    acts = [{"kind": "like", "at": "2026-03-01T12:00:05+08:00"}]
    await client.post("/exposures", json={"exposures": [SHOWN | {"behaviours": acts}]})

    page = (await client.post("/recommend", json={"user_id": "u1", "k": 3})).json()

    reason = page["items"][0]["reason"]
    assert (reason["kind"], reason["reference_post_id"], reason["behaviour"]) == ("own", "p0", "like")


async def test_what_was_shown_does_not_come_back_unless_asked_for(client: httpx.AsyncClient) -> None:
    await client.post("/exposures", json={"exposures": [SHOWN]})

    assert "p0" not in await ids(client)
    assert "p0" in await ids(client, include_seen=True)


async def test_two_calls_at_the_same_moment_have_no_post_in_common(client: httpx.AsyncClient) -> None:
    pages = await asyncio.gather(*(ids(client, k=2) for _ in range(2)))

    assert [len(page) for page in pages] == [2, 2]
    assert not set(pages[0]) & set(pages[1])


async def test_a_cursor_brings_the_rest_and_then_says_why_there_is_no_more(client: httpx.AsyncClient) -> None:
    first = (await client.post("/recommend", json={"user_id": "u1", "k": 3})).json()

    second = (await client.post("/recommend", json={"user_id": "u1", "k": 3, "cursor": first["cursor"]})).json()

    found = [item["post_id"] for item in first["items"] + second["items"]]
    assert sorted(found) == ["p0", "p1", "p2", "p3", "p4"]
    assert second["shortfall"].startswith("2 of 3")
    assert second["cursor"] is None


async def test_an_unknown_cursor_has_expired(client: httpx.AsyncClient) -> None:
    answer = await client.post("/recommend", json={"user_id": "u1", "cursor": "long-gone"})

    assert answer.status_code == 410
    assert answer.json()["type"] == "urn:tuwen:problem:expired-cursor"


async def test_get_and_post_answer_alike(client: httpx.AsyncClient) -> None:
    query = "user_id=u1&k=3&category=travel&category=leisure&include_seen=true"
    by_query = (await client.get(f"/recommend?{query}")).json()

    body = {"user_id": "u1", "k": 3, "include_seen": True, "filter": {"category": ["travel", "leisure"]}}
    by_body = (await client.post("/recommend", json=body)).json()

    assert sorted(item["post_id"] for item in by_query["items"]) == ["p2", "p3", "p4"]
    assert by_query["items"] == by_body["items"]


async def test_every_field_of_the_contract_is_taken(client: httpx.AsyncClient) -> None:
    body = {
        "k": 20,
        "scene": "home",
        "filter": {"category": ["food"], "city": None, "near": None},
        "exclude_post_ids": ["p0", "no such post"],
        "exclude_author_ids": ["no such author"],
        "include_seen": False,
        "diversity": 0.3,
        "behaviour_weights": {"click": 1, "like": 2},
        "session": [{"post_id": "p3", "kind": "click", "at": 1772337600}, {"post_id": "p9", "kind": "like"}],
        "cursor": None,
        "record_exposures": False,
    }

    page = (await client.post("/recommend", json={"user_id": "u1"} | body)).json()

    assert [item["post_id"] for item in page["items"]] == ["p1"]
    assert page["items"][0]["reason"]["kind"] == "session"
    assert sorted(page["ignored_ids"]) == ["no such author", "no such post", "p9"]


async def test_recorded_pages_are_in_the_log_under_the_ids_of_the_answer(client: httpx.AsyncClient) -> None:
    page = (await client.post("/recommend", json={"user_id": "u1", "k": 2, "record_exposures": True})).json()

    act = {"kind": "click", "exposure_id": page["items"][0]["exposure_id"]}
    statuses = (await client.post("/behaviours", json={"behaviours": [act]})).json()

    assert statuses["accepted"] == 1
    assert not {item["post_id"] for item in page["items"]} & set(await ids(client))


@pytest.mark.parametrize("call", ["PATCH", "DELETE"])
async def test_a_hidden_or_deleted_post_is_gone_with_the_next_request(
    client: httpx.AsyncClient, ops: httpx.AsyncClient, call: str
) -> None:
    assert "p1" in await ids(client)

    answer = await ops.request(call, "/posts/p1", json={"hidden": True} if call == "PATCH" else None)

    assert answer.is_success
    assert "p1" not in await ids(client, include_seen=True)


async def test_what_another_process_hides_is_gone_with_the_next_request(
    client: httpx.AsyncClient, stores: Stores
) -> None:
    await set_hidden(stores, "p2", hidden=True)

    assert "p2" not in await ids(client)


async def test_a_pinned_post_comes_first_until_it_was_shown_and_says_so(
    client: httpx.AsyncClient, ops: httpx.AsyncClient
) -> None:
    pinned = (await ops.patch("/posts/p3", json={"pinned": True})).json()
    assert pinned["pinned_at"] is not None

    asked = {"user_id": "new", "k": 3, "record_exposures": True}
    first = (await client.post("/recommend", json=asked)).json()["items"]
    second = (await client.post("/recommend", json=asked)).json()["items"]
    filtered = {"user_id": "v", "filter": {"category": ["food"]}}
    elsewhere = (await client.post("/recommend", json=filtered)).json()["items"]

    assert [item["reason"]["kind"] == "pinned" for item in first] == [True, False, False]
    assert first[0]["post_id"] == "p3"
    assert "p3" not in {item["post_id"] for item in second + elsewhere}
    assert (await ops.patch("/posts/p3", json={"pinned": False})).json()["pinned_at"] is None
    after = (await client.post("/recommend", json={"user_id": "w"})).json()["items"]
    assert "pinned" not in {item["reason"]["kind"] for item in after}


async def test_without_the_database_the_answer_is_poorer_and_says_so(
    client: httpx.AsyncClient, stores: Stores, cut_off: Callable[[], None]
) -> None:
    await client.get("/posts/p0")  # the key is known
    await save_posts(stores, [PostRecord(post_id="later", title="later")])
    cut_off()

    page = (await client.post("/recommend", json={"user_id": "u1", "record_exposures": True})).json()

    assert len(page["items"]) == 5
    assert set(page["degraded"]) >= {"changes", "exposures", "history"}
    assert page["items"][0]["exposure_id"] is None
