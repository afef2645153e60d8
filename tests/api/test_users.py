from __future__ import annotations

import httpx
import pytest

from app.storage.overview import row_counts
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
