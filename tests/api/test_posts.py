from __future__ import annotations

import asyncio
import io
from urllib.parse import quote

import httpx
import pytest
from PIL import Image
from sqlalchemy import text

from app.api.state import ApiState
from app.storage.events import LOG_LOCK
from app.storage.postgres import transaction
from app.storage.stores import Stores

pytestmark = pytest.mark.anyio
POST = {
    "post_id": "p1",
    "title": "外滩夜景 🌃",
    "category": "travel",
    "tags": ["夜景"],
    "latitude": 31.2,
    "longitude": 121.4,
}


def picture(colour: str = "red", encoding: str = "PNG") -> bytes:
    content = io.BytesIO()
    Image.new("RGB", (40, 30), colour).save(content, encoding)
    return content.getvalue()


@pytest.fixture(autouse=True)
async def post(ops: httpx.AsyncClient) -> None:
    answer = await ops.post("/posts", json={"posts": [POST]})
    assert answer.json()["accepted"] == 1, answer.text


async def test_a_post_comes_back_as_it_was_sent(client: httpx.AsyncClient) -> None:
    found = (await client.get("/posts/p1")).json()

    assert found.items() >= POST.items()
    assert (found["hidden"], found["picture_url"], found["picture_status"]) == (False, None, "none")


async def test_a_batch_of_posts_says_what_became_of_every_one(ops: httpx.AsyncClient) -> None:
    batch = [POST, POST | {"title": "new title"}, {"post_id": "p2"}, {"post_id": "p3", "title": "x", "latitude": 1}]

    found = (await ops.post("/posts", json={"posts": batch})).json()

    assert [one["status"] for one in found["items"]] == ["accepted", "accepted", "rejected", "rejected"]
    assert found["items"][2]["reason"] == "title: is missing"


@pytest.mark.parametrize("post_id", ["a/b", "外滩 №1?", "..%2F..", "x y+z&k=#1", "p1/picturesque"])
async def test_any_id_can_be_addressed(ops: httpx.AsyncClient, post_id: str) -> None:
    await ops.post("/posts", json={"posts": [{"post_id": post_id, "title": "here"}]})
    path = f"/posts/{quote(post_id, safe='')}"

    found = await ops.get(path)
    put = await ops.put(f"{path}/picture", content=picture(), headers={"Content-Type": "image/png"})

    assert found.json()["post_id"] == post_id
    assert (await ops.get(put.json()["picture_url"])).status_code == 200


async def test_a_patch_changes_what_it_names_and_nothing_else(ops: httpx.AsyncClient) -> None:
    found = (await ops.patch("/posts/p1", json={"category": None, "title": "豫园", "hidden": True})).json()

    assert (found["category"], found["title"], found["hidden"]) == (None, "豫园", True)
    assert (found["tags"], found["latitude"]) == (["夜景"], 31.2)


async def test_patches_of_other_fields_at_the_same_moment_lose_nothing(ops: httpx.AsyncClient) -> None:
    for number in range(10):
        changes = {"title": f"t{number}", "category": f"c{number}", "city": f"y{number}"}
        await asyncio.gather(*(ops.patch("/posts/p1", json={name: value}) for name, value in changes.items()))

        found = (await ops.get("/posts/p1")).json()
        assert {name: found[name] for name in changes} == changes


async def test_a_patch_under_way_does_not_revive_a_post_that_is_deleted_meanwhile(
    ops: httpx.AsyncClient, stores: Stores
) -> None:
    async with transaction(stores.database) as connection:  # as an erasure has it
        await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": LOG_LOCK})
        patching = asyncio.create_task(ops.patch("/posts/p1", json={"title": "again"}))
        await asyncio.sleep(0.3)
        assert (await ops.delete("/posts/p1")).status_code == 204

    assert (await patching).status_code == 404
    assert (await ops.get("/posts/p1")).status_code == 404


async def test_a_patch_that_does_not_fit_the_rest_is_refused(ops: httpx.AsyncClient) -> None:
    answer = await ops.patch("/posts/p1", json={"latitude": None})

    assert answer.status_code == 422
    assert "come together" in answer.json()["detail"]


async def test_null_is_no_title_and_no_answer_to_hidden_or_pinned(ops: httpx.AsyncClient) -> None:
    for patch in ({"title": None}, {"hidden": None}, {"hidden": "yes"}, {"pinned": None}, {"post_id": "p2"}):
        assert (await ops.patch("/posts/p1", json=patch)).status_code == 422, patch


async def test_deleting_is_harmless_to_repeat(ops: httpx.AsyncClient) -> None:
    answers = [await ops.delete("/posts/p1"), await ops.delete("/posts/p1"), await ops.delete("/posts/never")]

    assert [answer.status_code for answer in answers] == [204, 204, 204]
    assert (await ops.get("/posts/p1")).status_code == 404
    assert (await ops.patch("/posts/p1", json={"hidden": True})).status_code == 404


@pytest.mark.parametrize("encoding", ["PNG", "JPEG", "WEBP"])
async def test_a_picture_comes_back_with_its_type_and_a_tag(ops: httpx.AsyncClient, encoding: str) -> None:
    media_type = f"image/{encoding.lower()}"
    put = await ops.put("/posts/p1/picture", content=picture(encoding=encoding), headers={"Content-Type": media_type})

    got = await ops.get(put.json()["picture_url"])

    assert put.json()["picture_status"] == "stored"
    assert got.headers["content-type"] == media_type
    assert got.headers["x-content-type-options"] == "nosniff"
    assert got.headers["cache-control"].startswith("private")
    again = await ops.get("/posts/p1/picture", headers={"If-None-Match": got.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


@pytest.mark.parametrize("content", [b"", b"no picture", picture()[:60], b"<svg/>"])
async def test_a_picture_that_is_no_good_leaves_the_one_before(ops: httpx.AsyncClient, content: bytes) -> None:
    await ops.put("/posts/p1/picture", content=picture("blue"))
    before = await ops.get("/posts/p1/picture")

    refused = await ops.put("/posts/p1/picture", content=content)

    assert refused.status_code == 422
    assert "JPEG, PNG or WebP" in refused.json()["detail"]
    assert (await ops.get("/posts/p1/picture")).headers["etag"] == before.headers["etag"]


async def test_a_picture_of_too_many_pixels_is_too_large(ops: httpx.AsyncClient) -> None:
    content = io.BytesIO()
    Image.new("1", (9000, 9000)).save(content, "PNG")

    answer = await ops.put("/posts/p1/picture", content=content.getvalue(), headers={"Content-Type": "image/png"})

    assert answer.status_code == 413
    assert "megapixels" in answer.json()["detail"]


async def test_pictures_of_posts_that_are_not_there(ops: httpx.AsyncClient) -> None:
    assert (await ops.put("/posts/never/picture", content=picture())).status_code == 404
    assert (await ops.get("/posts/p1/picture")).status_code == 404
    assert (await ops.put("/posts/p1/picture", json={})).status_code == 415


async def test_similar_posts_come_nearest_first_without_the_post_itself(
    client: httpx.AsyncClient, generation: str
) -> None:
    found = (await client.get("/posts/p0/similar?k=3")).json()

    similarity = [item["similarity"] for item in found["items"]]
    assert found["generation"] == generation
    assert len(similarity) == 3
    assert similarity == sorted(similarity, reverse=True)
    assert "p0" not in [item["post_id"] for item in found["items"]]
    assert (await client.get("/posts/never/similar")).status_code == 404


async def test_a_new_post_is_recommended_without_a_reindex(
    client: httpx.AsyncClient, ops: httpx.AsyncClient, state: ApiState, generation: str, stores: Stores
) -> None:
    await ops.post("/posts", json={"posts": [{"post_id": "new", "title": "刚开的面馆"}]})

    async with asyncio.timeout(20):
        while "new" not in state.candidates.view().row_of:
            await asyncio.sleep(0.05)
    page = (await client.post("/recommend", json={"user_id": "u1"})).json()
    assert "new" in [item["post_id"] for item in page["items"]]
