from __future__ import annotations

import httpx
import pytest

from app.api.record_answers import PersonAnswer
from app.storage.overview import row_counts
from app.storage.peers import refresh_peers
from app.storage.stores import Stores
from app.storage.users import user_by_id

pytestmark = pytest.mark.anyio


async def test_attributes_replace_those_before(client: httpx.AsyncClient, stores: Stores) -> None:
    for attributes, status in (({"age": 24}, "accepted"), ({"age": 24}, "duplicate"), ({"gender": "F"}, "accepted")):
        answer = await client.put("/users/u1", json={"attributes": attributes})
        assert answer.json() == {"user_id": "u1", "status": status}

    user = await user_by_id(stores.database, "u1")
    assert user is not None
    assert user.attributes == {"gender": "F"}


async def test_attributes_that_lie_about_or_beside_are_refused(client: httpx.AsyncClient) -> None:
    for body in ({"age": 24}, {"attributes": [1]}, {"attributes": {}, "user_id": "u2"}, {"attributes": {"a": "\0"}}):
        assert (await client.put("/users/u1", json=body)).status_code == 422, body


@pytest.mark.usefixtures("generation")
async def test_an_erased_person_is_found_nowhere(
    client: httpx.AsyncClient, admin: httpx.AsyncClient, stores: Stores
) -> None:
    await client.put("/users/u1", json={"attributes": {"age": 24}})
    shown = {
        "user_id": "u1",
        "post_id": "p0",
        "shown_at": 1772337600,
        "behaviours": [{"kind": "like", "at": 1772337601}],
    }
    await client.post("/exposures", json={"exposures": [shown]})

    receipt = (await admin.delete("/users/u1")).json()["deleted"]

    assert (receipt["users"], receipt["exposures"], receipt["behaviours"]) == (1, 1, 1)
    counts = await row_counts(stores.database)
    assert (counts["users"], counts["exposures"], counts["behaviours"]) == (0, 0, 0)
    page = (await client.post("/recommend", json={"user_id": "u1"})).json()
    assert "p0" in [item["post_id"] for item in page["items"]]
    again = (await admin.delete("/users/u1")).json()["deleted"]
    assert {table for table, deleted in again.items() if deleted} <= {"cache_entries"}  # asking for a page made one


@pytest.mark.usefixtures("generation")
async def test_posts_of_an_erased_author_stay_without_him(
    client: httpx.AsyncClient, ops: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    async def posts_of(author_id: str) -> set[str]:
        page = (await client.post("/recommend", json={"user_id": author_id})).json()
        others = {item["post_id"] for item in page["items"]}
        return {f"p{number}" for number in range(5)} - others

    await ops.patch("/posts/p1", json={"author_id": "a0"})
    own = await posts_of("a0")
    document = (await admin.get("/users/a0/export")).json()

    receipt = (await admin.delete("/users/a0")).json()
    await ops.patch("/posts/p2", json={"author_id": "a0"})
    again = {"post_id": "p3", "title": "海鲜面 3", "category": "travel", "author_id": "a0"}
    await ops.post("/posts", json={"posts": [again]})

    assert own == {"p0", "p1"} == {post["post_id"] for post in document["authored_posts"]}
    assert receipt["deleted"]["authored_posts"] == 2
    assert [(await client.get(f"/posts/p{number}")).json()["author_id"] for number in range(4)] == [None] * 4
    assert await posts_of("a0") == set()
    assert '"a0"' not in (await admin.get("/audit?limit=50")).text


async def test_a_person_gets_everything_that_is_kept_of_him_and_nothing_of_others(
    client: httpx.AsyncClient, ops: httpx.AsyncClient, admin: httpx.AsyncClient, stores: Stores
) -> None:
    await ops.post("/posts", json={"posts": [{"post_id": "p1", "title": "t"}]})
    for user_id in ("u1", "u2"):
        await client.put(f"/users/{user_id}", json={"attributes": {"age": 24}})
        like = {"kind": "like", "at": 1772337601}
        shown = {"user_id": user_id, "post_id": "p1", "shown_at": 1772337600, "behaviours": [like]}
        events = [{**shown, "exposure_id": f"{user_id}-{number}"} for number in range(300)]
        await client.post("/exposures", json={"exposures": [*events, {"user_id": user_id, "post_id": "p404"}]})

    await refresh_peers(stores.database, ["u1", "u2"])

    answer = await admin.get("/users/u1/export")

    document = PersonAnswer.model_validate(answer.json())
    counts = [len(getattr(document, part)) for part in ("user", "traits", "exposures", "behaviours", "dead_letters")]
    assert counts == [1, 1, 300, 300, 1]
    assert document.peers == [
        {"kind": "similar_attributes", "overlap": 1, "count": 1},
        {"kind": "similar_user", "overlap": 1, "count": 1},
    ]
    assert "u2" not in answer.text
    assert (await admin.get("/users/nobody/export")).status_code == 404
    assert (await admin.get("/audit?limit=1")).json()["entries"][0]["verb"] == "GET /users/{user_id}/export"
