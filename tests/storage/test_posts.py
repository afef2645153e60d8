from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import text

from app.domain import PictureStatus, Post
from app.storage.post_changes import PostChange, announce_change, changed_since
from app.storage.postgres import transaction
from app.storage.posts import (
    PostRow,
    count_posts,
    mark_deleted,
    posts_by_id,
    set_hidden,
    set_picture,
    stream_candidates,
    upsert_posts,
)
from app.storage.stores import Stores

pytestmark = pytest.mark.anyio

NOW = datetime.now(UTC)


async def candidates(stores: Stores, *, page_size: int) -> list[list[str]]:
    return [[post.post_id for post in page] async for page in stream_candidates(stores.database, page_size=page_size)]


async def changes_since(stores: Stores, moment: datetime, *, page_size: int = 2) -> list[PostChange]:
    pages = [page async for page in changed_since(stores.database, moment, page_size=page_size)]
    assert all(0 < len(page) <= page_size for page in pages)
    return [change for page in pages for change in page]


async def test_unknown_ids_are_simply_not_there(stores: Stores):
    await upsert_posts(stores.database, [PostRow("p1", "title")], erased=stores.erased)

    assert await posts_by_id(stores.database, ["p1", "nowhere"]) == {"p1": Post("p1", "title")}
    assert await posts_by_id(stores.database, []) == {}


@pytest.mark.parametrize("page_size", [1, 2, 3, 10])
async def test_candidates_come_once_in_pages_of_any_size(stores: Stores, page_size: int):
    ids = ["B", "a", "上", "z"]
    await upsert_posts(stores.database, [PostRow(post_id, "title") for post_id in ids], erased=stores.erased)

    pages = await candidates(stores, page_size=page_size)

    assert [post_id for page in pages for post_id in page] == sorted(ids)
    assert all(0 < len(page) <= page_size for page in pages)


async def test_hidden_deleted_and_expired_posts_are_no_candidates(stores: Stores):
    past, future = NOW - timedelta(hours=1), NOW + timedelta(hours=1)
    rows = [PostRow(name, "title") for name in ("hidden", "deleted", "good")]
    await upsert_posts(
        stores.database,
        [*rows, PostRow("old", "t", expires_at=past), PostRow("new", "t", expires_at=future)],
        erased=stores.erased,
    )
    await set_hidden(stores.database, "hidden", hidden=True)
    await mark_deleted(stores.database, "deleted")

    assert await candidates(stores, page_size=10) == [["good", "new"]]
    assert await count_posts(stores.database) == 4


async def test_every_kind_of_change_is_reported_since_its_moment(stores: Stores):
    await upsert_posts(stores.database, [PostRow(f"p{n}", "title") for n in range(5)], erased=stores.erased)
    start = max(change.changed_at for change in await changes_since(stores, NOW - timedelta(days=1)))

    await upsert_posts(stores.database, [PostRow("p0", "new title"), PostRow("p4", "title")], erased=stores.erased)
    await set_hidden(stores.database, "p1", hidden=True)
    await mark_deleted(stores.database, "p2")
    await set_picture(stores.database, "p3", picture_status=PictureStatus.STORED, picture_hash="ab" * 32)

    changes = [one for one in await changes_since(stores, start) if one.changed_at > start]
    assert [(one.post.post_id, one.deleted, one.post.hidden) for one in changes] == [
        ("p0", False, False),
        ("p1", False, True),
        ("p2", True, False),
        ("p3", False, False),
    ]
    assert changes[3].post.picture_hash == "ab" * 32


@pytest.mark.parametrize("page_size", [1, 2, 3, 10])
async def test_changes_of_one_moment_come_once_in_pages_of_any_size(stores: Stores, page_size: int):
    ids = [f"p{number}" for number in range(5)]
    await upsert_posts(stores.database, [PostRow(post_id, "title") for post_id in ids], erased=stores.erased)
    async with transaction(stores.database) as connection:
        await connection.execute(text("UPDATE posts SET changed_at = now()"))

    changes = await changes_since(stores, NOW - timedelta(days=1), page_size=page_size)

    assert [change.post.post_id for change in changes] == ids


async def test_a_row_may_bring_its_picture_and_its_state(stores: Stores):
    row = PostRow("p1", "title", picture_status=PictureStatus.STORED, picture_hash="cd" * 32, hidden=True)

    first = await upsert_posts(stores.database, [row], erased=stores.erased)
    again = await upsert_posts(stores.database, [row], erased=stores.erased)

    assert (first, again) == ({"p1"}, frozenset())
    post = (await posts_by_id(stores.database, ["p1"]))["p1"]
    assert (post.picture_status, post.picture_hash, post.hidden) == (PictureStatus.STORED, "cd" * 32, True)


async def test_writers_of_the_same_posts_never_lock_each_other_out(stores: Stores):
    def batch(title: str, step: int) -> list[PostRow]:
        return [PostRow(f"p{n}", title, hidden=n % 2 == 0) for n in range(300)[::step]]

    await asyncio.gather(
        *(upsert_posts(stores.database, batch(f"t{n}", (-1) ** n), erased=stores.erased) for n in range(6))
    )

    assert await count_posts(stores.database) == 300


async def test_changes_are_announced_by_counting_up(stores: Stores):
    await announce_change(stores.cache)
    await announce_change(stores.cache)

    async with stores.cache.use() as client:
        assert await client.get("posts:version") == b"2"
