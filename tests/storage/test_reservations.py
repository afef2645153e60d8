"""What was returned to a user a moment ago, entered by several calls at once."""

import pytest

from app.storage.pages import Feed, save_page
from app.storage.reservations import NOTHING_RESERVED, Overtaken, Reservations, reserved_key

pytestmark = pytest.mark.anyio


async def entered(cache) -> Reservations:
    async with cache.use() as redis:
        return Reservations.of(await redis.get(reserved_key(cache, "u1")))


async def reserve(cache, page, made_with, *, unless_overtaken=True) -> None:
    await save_page(
        cache,
        "u1",
        Feed(),
        page,
        reservations=made_with,
        reserved_seconds=60,
        unless_overtaken=unless_overtaken,
        goes_on=False,
    )


async def test_of_two_answers_made_with_the_same_reservations_the_later_is_told_of_the_first(stores):
    await reserve(stores.cache, ["p1"], NOTHING_RESERVED)

    with pytest.raises(Overtaken) as overtaken:
        await reserve(stores.cache, ["p1"], NOTHING_RESERVED)
    await reserve(stores.cache, ["p2"], overtaken.value.now)

    assert overtaken.value.now.post_ids == ("p1",)
    assert (await entered(stores.cache)).post_ids == ("p1", "p2")


async def test_an_answer_that_need_not_differ_is_entered_beside_those_it_did_not_know(stores):
    await reserve(stores.cache, ["p1"], NOTHING_RESERVED)
    await reserve(stores.cache, ["p2", "p3"], NOTHING_RESERVED, unless_overtaken=False)

    assert (await entered(stores.cache)).post_ids == ("p1", "p2", "p3")


@pytest.mark.parametrize("unless_overtaken", [True, False])
async def test_where_the_reservations_have_run_out_meanwhile_nobody_was_first(stores, unless_overtaken):
    await reserve(stores.cache, ["p1"], NOTHING_RESERVED)
    before = await entered(stores.cache)
    async with stores.cache.use() as redis:
        await redis.delete(reserved_key(stores.cache, "u1"))

    await reserve(stores.cache, ["p2"], before, unless_overtaken=unless_overtaken)

    assert (await entered(stores.cache)).post_ids == ("p1", "p2")
