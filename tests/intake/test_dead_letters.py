from __future__ import annotations

from typing import Any

import orjson
import pytest

from app.intake.batches import take_in
from app.intake.dead_letters import replay_letters
from app.intake.events import UNKNOWN_POST
from app.intake.status import ERASED
from app.intake.users import erase_user, merge_users
from app.storage.dead_letters import NOT_KEPT, DeadLetter, letters_page, oldest_letters
from app.storage.person import person_document
from app.storage.stores import Stores
from tests.intake.records import given_posts, rows

pytestmark = pytest.mark.anyio


def shown(user_id: str = "u1", post_id: str = "p1", **more: Any) -> dict[str, Any]:
    return {"user_id": user_id, "post_id": post_id, "shown_at": 1772337600, **more}


async def letters(stores: Stores) -> list[DeadLetter]:
    return await letters_page(stores.database, limit=100)


async def test_what_is_rejected_is_kept_with_its_reason_and_source(stores: Stores):
    await given_posts(stores, "p1")

    statuses = await take_in(stores, "exposure", [shown(), shown(post_id="later"), 17], source="key-1")

    assert [one.status for one in statuses] == ["accepted", "rejected", "rejected"]
    kept = {str(one.item): (one.kind, one.source, one.tries, one.reason) for one in await letters(stores)}
    assert kept[str(shown(post_id="later"))] == ("exposure", "key-1", 1, statuses[1].reason)
    assert kept["17"][3] == "must be an object"


async def test_the_same_item_again_is_the_same_letter(stores: Stores):
    for _ in range(3):
        await take_in(stores, "behaviour", [{"kind": "like"}], source="key-1")

    assert [one.tries for one in await letters(stores)] == [3]


async def test_a_letter_whose_reason_has_gone_is_taken_in_and_others_stay(stores: Stores):
    await take_in(stores, "behaviour", [{"kind": "like", "exposure_id": "e1"}], source="key-1")
    await take_in(stores, "exposure", [shown(exposure_id="e1"), shown(post_id="never")], source="key-1")
    await given_posts(stores, "p1")

    replayed = await replay_letters(stores, await oldest_letters(stores.database, after=0, limit=10))

    assert replayed.counts == {"accepted": 2, "rejected": 1}
    assert [(one.item["post_id"], one.tries) for one in await letters(stores)] == [("never", 2)]
    assert await rows(stores, "exposure_id FROM behaviours") == [("e1",)]


async def test_a_behaviour_without_a_time_happened_when_it_first_came_not_when_it_is_tried_again(stores: Stores):
    await given_posts(stores, "p1")
    await take_in(stores, "exposure", [shown(exposure_id="before")], source="key-1")
    await take_in(stores, "behaviour", [{"kind": "like", "exposure_id": "e1"}], source="key-1")
    came_at = (await letters(stores))[0].first_at
    await take_in(stores, "exposure", [shown(exposure_id="e1")], source="key-1")

    await replay_letters(stores, await letters(stores))

    assert await rows(stores, "at FROM behaviours") == [(came_at,)]


async def test_letters_are_bounded_and_the_oldest_give_way(stores: Stores):
    settings = stores.settings.model_copy(update={"dead_letters_kept": 5})
    bounded = type(stores)(**{**vars(stores), "settings": settings})

    for number in range(4):
        await take_in(bounded, "post", [{"post_id": f"{number}-{one}"} for one in range(3)], source="key-1")

    assert sorted(one.item["post_id"] for one in await letters(stores)) == ["2-1", "2-2", "3-0", "3-1", "3-2"]


async def test_a_huge_item_is_told_of_and_not_kept(stores: Stores):
    await take_in(stores, "post", [{"post_id": "p1", "more": "x" * 70_000}], source="key-1")

    assert [(one.item, one.reason) for one in await letters(stores)] == [(None, "title: is missing")]


@pytest.mark.parametrize("depth", [300, 900])
async def test_an_item_too_deep_to_be_written_is_told_of_and_not_kept(stores: Stores, depth: int):
    deep: list[Any] = []
    for _ in range(depth):
        deep = [deep]

    for post_id in ("later", "later", "never"):
        await take_in(stores, "exposure", [shown(post_id=post_id, more=deep)], source="key-1")
    await take_in(stores, "exposure", [deep], source="key-1")

    told = [(one.item, one.reason, one.tries) for one in await letters(stores)]
    assert told == [
        (None, "must be an object" + NOT_KEPT, 1),
        (None, UNKNOWN_POST + NOT_KEPT, 1),
        (None, UNKNOWN_POST + NOT_KEPT, 2),
    ]


async def test_an_erasure_reaches_letters_and_nothing_of_the_erased_becomes_one(stores: Stores):
    await take_in(stores, "exposure", [shown("u1"), shown("u10"), {"user_id": "u2", "as": ["u1"]}], source="key-1")

    await erase_user(stores, "u1", actor="test")
    statuses = await take_in(stores, "exposure", [shown("u1"), {"user_id": "u1"}], source="key-1")

    assert [one.item["user_id"] for one in await letters(stores)] == ["u10"]
    assert (statuses[0].reason, statuses[1].status) == (ERASED, "rejected")


NAMING = [
    {"user_id": 7},
    {"user_id": "7"},
    {"post_id": "p", "author_id": "7"},
    {"user_id": "u2", "friends": [{"of": [7]}]},
    {"user_id": "u2", "by": {"7": "friend"}},
]


@pytest.mark.parametrize("item", NAMING, ids=str)
async def test_an_item_that_names_the_erased_anywhere_goes_and_is_not_kept_again(stores: Stores, item: dict[str, Any]):
    others = {"user_id": "17", "note": "7 of 7"}
    await take_in(stores, "exposure", [item, others], source="key-1")
    document = b"".join([piece async for piece in person_document(stores.database, "7")])

    erased = await erase_user(stores, "7", actor="test")
    await take_in(stores, "exposure", [item, others], source="key-1")

    assert len(orjson.loads(document)["dead_letters"]) == 1
    assert erased.deleted["dead_letters"] == 1
    assert [(one.item, one.tries) for one in await letters(stores)] == [(others, 2)]


async def test_rejected_items_of_a_merged_id_are_the_accounts(stores: Stores):
    items = [shown("device", "later"), shown("account", "later"), shown("device", "p2"), shown("u2", "later")]
    await take_in(stores, "exposure", [*items, {"user_id": "u3", "friends": ["device"]}], source="key-1")

    moved = await merge_users(stores, "account", former_id="device")

    assert moved is not None
    assert moved["dead_letters"] == 2
    left = [(one.item["user_id"], one.item.get("post_id")) for one in await letters(stores)]
    assert sorted(left, key=str) == [("account", "later"), ("account", "p2"), ("u2", "later"), ("u3", None)]
