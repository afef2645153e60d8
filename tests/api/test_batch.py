"""A page for each of many users, as lines."""

from __future__ import annotations

import asyncio
from typing import Any

import httpx
import orjson
import pytest

from app.api.answers import BatchLine
from app.api.state import ApiState
from app.pages.admin.overview import page_counts
from app.storage.stores import Stores
from tests.intake.records import rows

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("generation")]


async def lines(ops: httpx.AsyncClient, **body: Any) -> list[dict[str, Any]]:
    answer = await ops.post("/recommend/batch", json=body)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-type"] == "application/x-ndjson"
    return [orjson.loads(line) for line in answer.content.splitlines()]


async def test_each_user_gets_the_page_that_he_would_get_by_himself(
    client: httpx.AsyncClient, ops: httpx.AsyncClient
) -> None:
    act = {"user_id": "u2", "post_id": "p2", "kind": "like"}
    await client.post("/behaviours", json={"behaviours": [act]})
    alone = (await client.post("/recommend", json={"user_id": "u2", "k": 3, "include_seen": True})).json()

    found = await lines(ops, user_ids=["u1", "u2", "u1"], k=3, include_seen=True)

    assert [line["user_id"] for line in found] == ["u1", "u2"]
    assert [item["post_id"] for item in found[1]["items"]] == [item["post_id"] for item in alone["items"]]
    assert found[1]["items"][0]["reason"] == alone["items"][0]["reason"]
    for line in found:
        BatchLine.model_validate(line)


async def test_what_a_batch_returns_can_be_recorded_and_has_its_scene(ops: httpx.AsyncClient, stores: Stores) -> None:
    await ops.put("/scenes/mail", json={"category_posts_at_most": 1})

    found = await lines(ops, user_ids=["u1", "u2"], scene="mail", record_exposures=True)

    assert [len(line["items"]) for line in found] == [3, 3]
    assert await rows(stores, "scene, count(*) FROM exposures GROUP BY 1") == [("mail", 6)]


async def test_pages_of_batches_count_as_those_asked_for_one_by_one(
    client: httpx.AsyncClient, ops: httpx.AsyncClient, state: ApiState
) -> None:
    await lines(ops, user_ids=["u1", "u2", "u3"])
    await client.post("/recommend", json={"user_id": "u1"})

    assert page_counts(state.metrics) == (4, 0, 0)


async def test_a_second_batch_is_told_to_wait(ops: httpx.AsyncClient, state: ApiState) -> None:
    async with state.batch:  # as long as one is being written
        assert (await ops.post("/recommend/batch", json={"user_ids": ["u1"]})).status_code == 503

    assert len(await lines(ops, user_ids=["u1"])) == 1


async def test_of_two_batches_at_the_same_moment_one_is_told_to_wait(ops: httpx.AsyncClient) -> None:
    body = {"user_ids": [f"u{number}" for number in range(20)]}

    answers = await asyncio.gather(*(ops.post("/recommend/batch", json=body) for _ in range(2)))

    assert sorted(answer.status_code for answer in answers) == [200, 503]
    assert len(await lines(ops, user_ids=["u1"])) == 1


async def test_a_batch_without_users_or_with_too_many_is_refused(ops: httpx.AsyncClient) -> None:
    assert (await ops.post("/recommend/batch", json={"user_ids": []})).status_code == 422
    assert (await ops.post("/recommend/batch", json={"user_ids": ["u"] * 1001})).status_code == 422
    assert (await ops.post("/recommend/batch", json={"user_ids": ["u"], "cursor": "c"})).status_code == 422
