from __future__ import annotations

import pytest

from app.domain import PictureStatus
from app.errors import UnknownId
from app.intake.posts import PostRecord, delete_post, save_picture, save_posts, set_hidden
from app.storage.post_changes import VERSION_KEY
from app.storage.posts import posts_by_id
from app.storage.stores import Stores
from tests.intake.records import NOON, given_posts, picture, rows

pytestmark = pytest.mark.anyio

FULL = PostRecord(
    post_id="p1",
    title="小龙虾",
    category="food",
    city="上海",
    latitude=31.23,
    longitude=121.47,
    author_id="a1",
    tags=["hot", "夜宵"],
    published_at=NOON,
    expires_at=NOON.replace(year=2099),
    attributes={"price": 88.5, "menu": ["a", {"b": None}]},
)


async def version(stores: Stores) -> int:
    async with stores.cache.use() as client:
        return int(await client.get(VERSION_KEY) or 0)


async def test_every_field_of_a_post_comes_back(stores: Stores):
    await save_posts(stores, [FULL])

    post = (await posts_by_id(stores.database, ["p1"]))["p1"]

    assert {name: getattr(post, name) for name in FULL.model_fields_set - {"tags"}} == FULL.model_dump(exclude={"tags"})
    assert post.tags == ("hot", "夜宵")
    assert (post.picture_hash, post.picture_status, post.hidden) == (None, PictureStatus.NONE, False)


async def test_the_same_content_again_touches_nothing(stores: Stores):
    [first] = await save_posts(stores, [FULL])
    before = await rows(stores, "* FROM posts"), await version(stores)

    [again] = await save_posts(stores, [FULL])

    assert (first.status, again.status) == ("accepted", "duplicate")
    assert (await rows(stores, "* FROM posts"), await version(stores)) == before


@pytest.mark.parametrize(
    "change",
    [
        {"title": "大龙虾"},
        {"city": None},
        {"tags": ["hot"]},
        {"attributes": {}},
        {"latitude": 31.24},
        {"expires_at": None},
    ],
)
async def test_any_changed_field_moves_changed_at_and_tells_the_caches(stores: Stores, change: dict[str, object]):
    await save_posts(stores, [FULL])
    [(before,)] = await rows(stores, "changed_at FROM posts")
    told = await version(stores)

    [status] = await save_posts(stores, [FULL.model_copy(update=change)])

    [(after,)] = await rows(stores, "changed_at FROM posts")
    assert (status.status, after > before, await version(stores)) == ("accepted", True, told + 1)


async def test_empty_words_mean_nothing_said(stores: Stores):
    await save_posts(stores, [PostRecord(post_id="p1", title="t", category="", city="")])

    assert await rows(stores, "category, city FROM posts") == [(None, None)]


async def test_of_one_post_twice_in_a_batch_the_last_counts(stores: Stores):
    statuses = await save_posts(stores, [PostRecord(post_id="p1", title="a"), PostRecord(post_id="p1", title="b")])

    assert [one.status for one in statuses] == ["accepted", "accepted"]
    assert await rows(stores, "title FROM posts") == [("b",)]


async def test_a_picture_is_stored_once_for_all_posts(stores: Stores):
    await given_posts(stores, "p1", "p2")

    statuses = [await save_picture(stores, post_id, picture()) for post_id in ("p1", "p2")]

    assert statuses == [PictureStatus.STORED] * 2
    [(one,), (other,)] = await rows(stores, "picture_hash FROM posts")
    assert one == other
    assert stores.pictures.read(one) == picture()
    assert sum(path.is_file() for path in stores.settings.pictures.rglob("*")) == 1


async def test_sending_a_post_again_keeps_its_picture(stores: Stores):
    await given_posts(stores, "p1")
    await save_picture(stores, "p1", picture())

    await save_posts(stores, [PostRecord(post_id="p1", title="another title")])

    assert await rows(stores, "title, picture_status FROM posts") == [("another title", "stored")]


async def test_a_bad_picture_leaves_the_post_with_its_title_and_says_why(stores: Stores):
    await given_posts(stores, "p1")

    status = await save_picture(stores, "p1", b"<svg/>")

    assert status is PictureStatus.UNREADABLE
    assert await rows(stores, "title, picture_status, picture_hash FROM posts") == [("title of p1", "unreadable", None)]


async def test_a_bad_picture_does_not_replace_a_good_one(stores: Stores):
    await given_posts(stores, "p1")
    await save_picture(stores, "p1", picture())

    status = await save_picture(stores, "p1", picture()[:100])

    assert status is PictureStatus.UNREADABLE
    assert await rows(stores, "picture_status FROM posts") == [("stored",)]


async def test_a_picture_needs_its_post(stores: Stores):
    with pytest.raises(UnknownId):
        await save_picture(stores, "nowhere", picture())


async def test_hiding_is_reversible_and_survives_an_upsert(stores: Stores):
    await save_posts(stores, [FULL])

    assert await set_hidden(stores, "p1", hidden=True)
    assert not await set_hidden(stores, "p1", hidden=True)
    await save_posts(stores, [FULL.model_copy(update={"title": "new"})])

    assert await rows(stores, "title, hidden FROM posts") == [("new", True)]
    assert await set_hidden(stores, "p1", hidden=False)
    with pytest.raises(UnknownId):
        await set_hidden(stores, "nowhere", hidden=True)


async def test_a_deleted_post_is_gone_until_it_is_sent_again(stores: Stores):
    await save_posts(stores, [FULL])

    assert await delete_post(stores, "p1")
    assert not await delete_post(stores, "p1")
    assert await posts_by_id(stores.database, ["p1"]) == {}
    with pytest.raises(UnknownId):
        await set_hidden(stores, "p1", hidden=True)

    [status] = await save_posts(stores, [FULL])
    assert status.status == "accepted"
    assert "p1" in await posts_by_id(stores.database, ["p1"])
