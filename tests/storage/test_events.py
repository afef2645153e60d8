from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from app.domain import Behaviour, BehaviourKind, Exposure
from app.storage.events import log_batch
from app.storage.posts import PostRow, mark_deleted, upsert_posts
from app.storage.stores import Stores

pytestmark = pytest.mark.anyio

NOON = datetime(2025, 6, 1, 12, 0, 0, 1, tzinfo=UTC)
SHOWN = Exposure("e1", "u1", "p1", NOON, 3, "home", "r1")
LIKED = Behaviour("b1", "u1", "p1", BehaviourKind.LIKE, NOON, "e1")
AWKWARD = ("'; DROP TABLE posts; --", '{"a": [1, "\\u0041"]}', "上\u2028海 🍜", "\\N", "\ufeff", "%s :id $1")


async def test_only_what_was_not_there_is_told_as_new(stores: Stores):
    async with log_batch(stores.database) as batch:
        first = await batch.add_exposures([SHOWN]), await batch.add_behaviours([LIKED])
    async with log_batch(stores.database) as batch:
        again = (
            await batch.add_exposures([SHOWN, replace(SHOWN, exposure_id="e2")]),
            await batch.add_behaviours([LIKED, replace(LIKED, behaviour_id="b2")]),
        )

    assert first == ({"e1"}, {"b1"})
    assert again == ({"e2"}, {"b2"})


async def test_nothing_to_write_is_nothing_new(stores: Stores):
    async with log_batch(stores.database) as batch:
        await batch.add_users([])
        assert (await batch.add_exposures([]), await batch.add_behaviours([])) == (frozenset(), frozenset())
        assert (await batch.known_posts([]), await batch.owners([])) == (frozenset(), {})


async def test_a_deleted_post_is_still_known_to_the_log(stores: Stores):
    await upsert_posts(stores.database, [PostRow("p1", "t"), PostRow("p2", "t")], erased=stores.erased)
    await mark_deleted(stores.database, "p1")

    async with log_batch(stores.database) as batch:
        assert await batch.known_posts(["p1", "p2", "p3"]) == {"p1", "p2"}


async def test_any_text_comes_back_as_it_went_in(stores: Stores):
    shown = [replace(SHOWN, exposure_id=text, user_id=text, post_id=text, scene=text) for text in AWKWARD]

    async with log_batch(stores.database) as batch:
        new = await batch.add_exposures(shown)
        owners = await batch.owners(AWKWARD)

    assert new == set(AWKWARD)
    assert owners == {text: (text, text) for text in AWKWARD}


async def broken_off(stores: Stores) -> None:
    async with log_batch(stores.database) as batch:
        await batch.add_exposures([SHOWN])
        raise ZeroDivisionError


async def test_what_fails_half_way_is_not_written_at_all(stores: Stores):
    with pytest.raises(ZeroDivisionError):
        await broken_off(stores)

    async with log_batch(stores.database) as batch:
        assert await batch.owners(["e1"]) == {}
