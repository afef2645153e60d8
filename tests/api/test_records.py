"""Dead letters and the audit over HTTP."""

from __future__ import annotations

import httpx
import pytest

from app.api.record_answers import AuditAnswer, DeadLettersAnswer, ErasureAnswer, ReplayAnswer

pytestmark = pytest.mark.anyio
LIKE = {"kind": "like", "user_id": "u1", "post_id": "p9"}


async def test_a_rejected_item_is_listed_replayed_and_dropped(
    client: httpx.AsyncClient, ops: httpx.AsyncClient
) -> None:
    await client.post("/behaviours", json={"behaviours": [LIKE, {**LIKE, "kind": "nod"}]})

    page = DeadLettersAnswer.model_validate((await ops.get("/dead-letters?kind=behaviour&limit=1")).json())
    rest = DeadLettersAnswer.model_validate((await ops.get(f"/dead-letters?before={page.next_before}")).json())
    await ops.post("/posts", json={"posts": [{"post_id": "p9", "title": "t"}]})
    replayed = ReplayAnswer.model_validate((await ops.post("/dead-letters/replay", json={})).json())

    assert (page.kept, len(page.letters), len(rest.letters)) == (2, 1, 1)
    assert (replayed.accepted, replayed.rejected, replayed.kept) == (1, 1, 1)
    left = (await ops.get("/dead-letters")).json()["letters"][0]["letter_id"]
    assert (await ops.delete(f"/dead-letters/{left}")).status_code == 204
    assert (await ops.delete(f"/dead-letters/{left}")).status_code == 404


async def test_every_write_by_ops_and_admin_is_in_the_audit_and_no_failed_one(
    ops: httpx.AsyncClient, admin: httpx.AsyncClient, client: httpx.AsyncClient
) -> None:
    await ops.post("/posts", json={"posts": [{"post_id": "p1", "title": "t"}]})
    await ops.patch("/posts/p1", json={"hidden": True}, headers={"X-Request-Id": "r-1"})
    await ops.patch("/posts/p404", json={"hidden": True})
    await ops.delete("/posts/p1")
    await client.put("/users/Zq9person", json={"attributes": {}})
    await admin.delete("/users/Zq9person")

    answer = await admin.get("/audit?limit=3")
    page = AuditAnswer.model_validate(answer.json())
    rest = AuditAnswer.model_validate((await admin.get(f"/audit?before={page.next_before}")).json())

    entries = [*page.entries, *rest.entries]
    assert [one.verb for one in entries] == [
        "erase",
        "DELETE /posts/{post_id}",
        "PATCH /posts/{post_id}",
        "POST /posts",
    ]
    assert (entries[2].before, entries[2].after, entries[2].request_id) == ({"hidden": False}, {"hidden": True}, "r-1")
    assert entries[3].after == {"post_ids": ["p1"]}
    assert "Zq9person" not in answer.text


async def test_an_erased_person_does_not_come_back_and_the_receipt_stays(
    client: httpx.AsyncClient, ops: httpx.AsyncClient, admin: httpx.AsyncClient
) -> None:
    await ops.post("/posts", json={"posts": [{"post_id": "p1", "title": "t"}]})
    await client.put("/users/u1", json={"attributes": {"age": 24}})
    receipt = ErasureAnswer.model_validate((await admin.delete("/users/u1")).json())

    late = await client.post("/exposures", json={"exposures": [{"user_id": "u1", "post_id": "p1", "shown_at": 1}]})
    again = ErasureAnswer.model_validate((await admin.delete("/users/u1")).json())

    assert late.json()["rejected"] == 1
    assert (await client.put("/users/u1", json={"attributes": {}})).json()["type"] == "urn:tuwen:problem:erased"
    assert receipt.deleted["users"] == 1
    assert (again.receipt_id, again.erased_at) == (receipt.receipt_id, receipt.erased_at)
    assert set(again.deleted.values()) == {0}
