from __future__ import annotations

from collections.abc import Callable

import httpx
import pytest

from app.intake.posts import PostRecord, save_posts
from app.storage.overview import row_counts
from app.storage.stores import Stores

pytestmark = pytest.mark.anyio
SHOWN = {"exposure_id": "e1", "user_id": "u1", "post_id": "p1", "shown_at": "2026-03-01T12:00:00+08:00"}
ACT = {"behaviour_id": "b1", "exposure_id": "e1", "kind": "like", "at": "2026-03-01T12:00:09+08:00"}


@pytest.fixture(autouse=True)
async def post(stores: Stores) -> None:
    await save_posts(stores, [PostRecord(post_id="p1", title="小笼包")])


async def test_a_batch_says_what_became_of_every_item(client: httpx.AsyncClient) -> None:
    items = [SHOWN, SHOWN | {"exposure_id": "e2", "post_id": "unknown"}, {"user_id": "Zq9canary7"}, "Zq9canary7", None]

    answer = await client.post("/exposures", json={"exposures": items})

    found = answer.json()
    assert (found["accepted"], found["duplicate"], found["rejected"]) == (1, 0, 4)
    assert [one["index"] for one in found["items"]] == [0, 1, 2, 3, 4]
    assert found["items"][2]["reason"] == "post_id: is missing"
    assert "Zq9canary7" not in answer.text


async def test_sending_a_batch_again_changes_nothing(client: httpx.AsyncClient, stores: Stores) -> None:
    exposures = {"exposures": [SHOWN | {"behaviours": [{"kind": "click", "at": "2026-03-01T12:00:07+08:00"}]}]}
    for path, batch in (("/exposures", exposures), ("/behaviours", {"behaviours": [ACT]})):
        first = (await client.post(path, json=batch)).json()
        counts = await row_counts(stores.database)

        second = (await client.post(path, json=batch)).json()

        assert (first["items"][0]["status"], second["items"][0]["status"]) == ("accepted", "duplicate")
        assert await row_counts(stores.database) == counts


async def test_an_empty_batch_is_fine_and_a_bare_list_is_not(client: httpx.AsyncClient) -> None:
    assert (await client.post("/exposures", json={"exposures": []})).json()["items"] == []
    assert (await client.post("/exposures", json=[SHOWN])).status_code == 422


async def test_a_batch_has_a_largest_size(client: httpx.AsyncClient) -> None:
    batch = [SHOWN | {"exposure_id": f"e{number}"} for number in range(1001)]

    refused = await client.post("/exposures", json={"exposures": batch})
    taken = await client.post("/exposures", json={"exposures": batch[:1000]})

    assert refused.status_code == 422
    assert taken.json()["accepted"] == 1000


async def test_a_behaviour_may_name_user_and_post_instead(client: httpx.AsyncClient) -> None:
    batch = {"behaviours": [{"user_id": "u1", "post_id": "p1", "kind": "share"}, {"kind": "share"}]}

    found = (await client.post("/behaviours", json=batch)).json()

    assert [one["status"] for one in found["items"]] == ["accepted", "rejected"]


async def test_what_cannot_be_committed_is_not_acknowledged(
    client: httpx.AsyncClient, cut_off: Callable[[], None]
) -> None:
    cut_off()

    answer = await client.post("/exposures", json={"exposures": [SHOWN]})

    assert answer.status_code == 503
    assert answer.headers["retry-after"] == "1"
    assert answer.json()["type"] == "urn:tuwen:problem:unavailable"
