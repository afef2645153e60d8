"""A request -> a page: what a client may rely on, on real stores and a small view."""

from __future__ import annotations

from dataclasses import replace
from itertools import chain

import anyio
import numpy as np
import pytest

from app.domain import BEHAVIOUR_KINDS, BehaviourKind, PostAct
from app.errors import BadInput, ExpiredCursor
from app.intake.users import UserRecord, save_users
from app.recommend.recommend import recommend
from app.recommend.request import (
    PostFilter,
    Reason,
    ReasonKind,
    Recommendation,
    RecommendedPost,
    RecommendRequest,
)
from app.storage.cache import Cache
from app.storage.pages import KEPT_SECONDS
from app.storage.postgres import async_engine
from app.storage.stores import Stores
from app.storage.user_cache import forget_users
from tests.recommend.small_view import NOW, TASTES, post_id, small_view
from tests.storage.logbook import Logbook

pytestmark = pytest.mark.anyio
VIEW = small_view()
LIVING = int(np.count_nonzero(VIEW.columns.expires_at > NOW.timestamp()))


@pytest.fixture
def log(stores: Stores) -> Logbook:
    return Logbook(stores)


async def ask(stores: Stores, **wanted) -> Recommendation:
    request = RecommendRequest(**{"user_id": "u", **wanted})
    return await recommend(stores, VIEW, request, moment=NOW)


def ids(answer: Recommendation) -> list[str]:
    return [post.post_id for post in answer.posts]


def tastes(answer: Recommendation) -> list[int]:
    return [int(post.post_id[1:]) % TASTES for post in answer.posts]


async def test_a_user_gets_posts_like_those_he_acted_on_and_is_told_which(stores, log):
    log.shown("u", post_id(3), 0)
    log.did("u", post_id(3), 1, kind="favourite")
    await log.write()

    answer = await ask(stores, k=10)

    assert tastes(answer) == [3] * 10
    reason = answer.posts[0].reason
    assert (reason.kind, reason.reference_post_id, reason.behaviour) == ("own", post_id(3), "favourite")
    assert reason.similarity == pytest.approx(float(VIEW.vectors[3] @ VIEW.vectors[int(ids(answer)[0][1:])]), abs=1e-5)


async def test_a_user_gets_what_an_account_with_the_same_likes_liked(stores, log):
    log.did("u", post_id(3), 0)
    log.did("v", post_id(3), 0)
    log.did("v", post_id(5), 1)
    await log.write()

    answer = await ask(stores, k=40)

    reasons = {post.post_id: post.reason for post in answer.posts}
    assert reasons[post_id(5)].kind == "similar_user"
    assert reasons[post_id(5)].reference_post_id == post_id(5)


async def test_a_new_user_gets_popular_and_fresh_posts_in_turn(stores):
    answer = await ask(stores, k=6)

    assert [post.reason.kind for post in answer.posts] == ["popular", "fresh"] * 3
    assert ids(answer)[0] == next(one for one in VIEW.popular if not expired(one))
    assert all(post.reason.reference_post_id is None for post in answer.posts)


async def test_an_account_like_the_new_users_helps_him_by_its_attributes(stores, log):
    await log.traits(u={"gender": "F"}, v={"gender": "F"})
    log.did("v", post_id(6), 0)
    await log.write()

    answer = await ask(stores, k=5)

    assert {post.reason.kind for post in answer.posts} == {"similar_attributes"}
    assert tastes(answer) == [6] * 5


async def test_the_session_counts_at_once(stores):
    answer = await ask(stores, k=5, session=(PostAct(post_id(2), BehaviourKind.CLICK, NOW),))

    assert tastes(answer) == [2] * 5
    assert post_id(2) not in ids(answer)
    assert {post.reason.kind for post in answer.posts} == {"session"}


async def test_every_post_has_one_probability_per_behaviour(stores):
    answer = await ask(stores, k=3)

    for post in answer.posts:
        assert list(post.probabilities) == list(BEHAVIOUR_KINDS)
        assert all(0 < one < 1 for one in post.probabilities.values())


async def test_behaviour_weights_order_the_matched_posts_by_what_they_are_worth(stores, log):
    log.did("u", post_id(3), 0)
    await log.write()

    answer = await ask(stores, k=20, behaviour_weights={BehaviourKind.CLICK: 1.0, BehaviourKind.LIKE: 2.0})

    worth = [
        post.probabilities[BehaviourKind.CLICK] + 2 * post.probabilities[BehaviourKind.LIKE] for post in answer.posts
    ]
    assert worth == pytest.approx(sorted(worth, reverse=True))
    assert [post.score for post in answer.posts] == pytest.approx(worth)


async def test_pages_never_repeat_and_end_when_everything_was_returned(stores, log):
    for number in (3, 12):
        log.did("u", post_id(number), number)
    await log.write()

    pages, cursor = [await ask(stores, k=30, diversity=0.4)], None
    while cursor := pages[-1].cursor:
        pages.append(await ask(stores, k=30, diversity=0.4, cursor=cursor))

    everything = [one for page in pages for one in ids(page)]
    assert len(everything) == len(set(everything)) == LIVING - 2
    assert all(len(page.posts) == 30 for page in pages[:-1])
    assert "returned on earlier pages" in (pages[-1].shortfall or "")


async def test_two_quick_calls_differ_until_there_is_nothing_else(stores):
    pages = [ids(await ask(stores, k=30, reserved_seconds=60)) for _ in range(8)]

    assert all(len(page) == 30 for page in pages)
    returned = list(chain(*pages[: LIVING // 30]))
    assert len(returned) == len(set(returned))
    assert set(chain(*pages)) == {one for one in VIEW.row_of if not expired(one)}


async def test_what_was_reserved_comes_back_on_demand_and_after_its_time(stores):
    first = ids(await ask(stores, k=30, reserved_seconds=0.2))

    assert ids(await ask(stores, k=30, include_seen=True)) == first
    await anyio.sleep(0.25)
    assert ids(await ask(stores, k=30)) == first


async def test_a_cursor_goes_on_where_its_page_ended_whatever_other_calls_return(stores):
    first = await ask(stores, k=30, reserved_seconds=60)
    others = ids(await ask(stores, k=30, reserved_seconds=60))

    second = ids(await ask(stores, k=30, reserved_seconds=60, cursor=first.cursor))

    assert second == others
    assert not set(second) & set(ids(first))


async def test_nobody_is_shown_what_he_is_not_interested_in(stores, log):
    log.did("u", post_id(3), 0)
    log.rejected("u", post_id(11), 1)  # of the same taste
    await log.write()

    pages = [await ask(stores, k=100, include_seen=True)]
    pages.append(await ask(stores, k=100, include_seen=True, cursor=pages[0].cursor))

    returned = [one for page in pages for one in ids(page)]
    assert len(returned) == LIVING - 1
    assert post_id(11) not in returned


async def test_posts_like_the_rejected_one_fall_behind(stores, log):
    for number in (3, 5):
        log.did("u", post_id(number), 0)
    await log.write()
    before = tastes(await ask(stores, k=20))
    log.rejected("u", post_id(11), 1)  # of taste 3
    await log.write()
    await forget_users(stores.cache, ["u"])

    after = tastes(await ask(stores, k=20))

    assert 3 in before
    assert after == [5] * 20


async def test_a_rejected_post_is_no_reference_any_more(stores, log):
    log.did("u", post_id(3), 0)
    log.rejected("u", post_id(3), 1)
    await log.write()

    answer = await ask(stores, k=5)

    assert {post.reason.kind for post in answer.posts} == {"popular", "fresh"}


@pytest.mark.parametrize("weights", [{}, {BehaviourKind.CLICK: 1.0}])
async def test_what_a_request_says_of_age_and_popularity_orders_the_page(stores, log, weights):
    log.did("u", post_id(60), 0)
    await log.write()
    wanted = {"k": 30, "behaviour_weights": weights}

    plain, changed = [
        {post.post_id: post.score for post in (await ask(stores, **wanted, **more)).posts}
        for more in ({}, {"recency_half_life_days": 30, "popularity_influence": 2})
    ]

    assert list(changed) != list(plain)
    assert list(changed.values()) == sorted(changed.values(), reverse=True)


async def test_asking_twice_with_one_cursor_gives_the_same_page(stores):
    first = await ask(stores, k=10)

    again = [ids(await ask(stores, k=10, cursor=first.cursor)) for _ in range(2)]

    assert again[0] == again[1]
    assert not set(again[0]) & set(ids(first))


@pytest.mark.parametrize("cursor", ["unknown", "", "x" * 500])
async def test_a_cursor_that_is_not_known_is_refused(stores, cursor):
    with pytest.raises(ExpiredCursor, match="without it"):
        await ask(stores, cursor=cursor)


async def test_a_cursor_is_for_its_user_and_for_half_an_hour(stores):
    cursor = (await ask(stores)).cursor

    with pytest.raises(ExpiredCursor):
        await ask(stores, user_id="another", cursor=cursor)
    async with stores.cache.use() as redis:
        assert KEPT_SECONDS - 60 < await redis.ttl(f"page:{cursor}") <= KEPT_SECONDS == 1800


async def test_a_feed_of_many_pages_never_repeats(stores):
    view = small_view(3000)
    request = RecommendRequest("u", k=100, include_seen=True)
    returned: list[str] = []

    while True:
        answer = await recommend(stores, view, request, moment=NOW)
        returned += ids(answer)
        if answer.cursor is None:
            break
        request = replace(request, cursor=answer.cursor)

    assert len(returned) == len(set(returned)) == np.count_nonzero(view.columns.expires_at > NOW.timestamp())


async def test_what_was_shown_comes_back_only_on_demand(stores, log):
    for number in range(150):
        log.shown("u", post_id(number), number)
    await log.write()

    unseen, all_posts = await ask(stores, k=100), await ask(stores, k=100, include_seen=True)

    assert all(int(one[1:]) >= 150 for one in ids(unseen))
    assert len(all_posts.posts) == 100
    assert all_posts.shortfall is None


async def test_a_short_page_says_why(stores, log):
    food = VIEW.columns.category.mask(["food"]) & VIEW.columns.city.mask(["上海"])
    row = int(np.flatnonzero(food & np.isinf(VIEW.columns.expires_at))[0])
    log.shown("u", post_id(row), 0)
    await log.write()

    answer = await ask(stores, k=100, filter=PostFilter(category=("food",), city=("上海",)))

    found = len(answer.posts)
    assert answer.shortfall == (
        f"{found} of 100: {LIVING} posts can be recommended, {found + 1} of them pass the filter, "
        "1 of those were shown to this user already (include_seen brings them back)"
    )
    assert answer.cursor is None


async def test_scores_never_rise_down_the_page(stores, log):
    log.did("u", post_id(3), 0)
    await log.write()

    for wanted in ({}, {"filter": PostFilter(city=("上海",))}, {"user_id": "new"}):
        scores = [post.score for post in (await ask(stores, k=100, **wanted)).posts]
        assert scores == sorted(scores, reverse=True)


async def test_the_page_as_showings_carries_the_recommendation_and_the_position(stores):
    answer = await ask(stores, k=3)

    exposures = answer.exposures(RecommendRequest("u", scene="home"), shown_at=NOW)

    assert [one.exposure_id for one in exposures] == [f"{answer.recommendation_id}:{place}" for place in range(3)]
    assert [(one.post_id, one.position, one.scene) for one in exposures] == [
        (one, place, "home") for place, one in enumerate(ids(answer))
    ]


async def test_a_behaviour_changes_the_next_answer(stores, log):
    before = await ask(stores, k=5)
    log.did("u", post_id(7), 0)
    await log.write()
    await forget_users(stores.cache, ["u"])

    after = await ask(stores, k=5)

    assert tastes(after) == [7] * 5 != tastes(before)


async def test_without_both_stores_there_is_still_a_full_page(stores):
    nowhere = replace(
        stores,
        cache=Cache("redis://127.0.0.1:1/0", timeout_seconds=0.2, naming_key=b""),
        database=async_engine("postgresql://nobody@127.0.0.1:1/none", statement_timeout_seconds=1),
    )

    answer = await ask(nowhere, k=20, cursor="of-an-earlier-page")

    assert len(answer.posts) == 20
    assert answer.degraded == ("cache", "history")
    assert answer.cursor is None


@pytest.mark.parametrize("wrong", [{"k": 0}, {"k": 101}, {"diversity": 1.1}, {"diversity": float("nan")}])
def test_numbers_out_of_range_are_refused(wrong):
    with pytest.raises(BadInput):
        RecommendRequest("u", **wrong)


def test_a_picture_has_a_path_that_any_id_fits_into_and_only_where_there_is_one():
    reason = Reason(ReasonKind.FRESH)
    with_picture = RecommendedPost("a/b 图", 1.0, "title", True, None, {}, reason)

    assert with_picture.picture_url == "/posts/a%2Fb%20%E5%9B%BE/picture"
    assert replace(with_picture, has_picture=False).picture_url is None


def expired(wanted: str) -> bool:
    return bool(VIEW.columns.expires_at[VIEW.row_of[wanted]] <= NOW.timestamp())


async def test_who_wants_no_personal_list_gets_popular_and_fresh_posts_from_the_next_request_on(stores, log):
    log.shown("u", post_id(3), 0)
    log.did("u", post_id(3), 1, kind="favourite")
    await log.write()
    assert (await ask(stores, k=4)).personalised

    await save_users(stores, [UserRecord(user_id="u", personalised=False)])
    session = (PostAct(post_id(5), BehaviourKind.LIKE, NOW),)
    answer = await ask(stores, k=4, session=session)

    assert not answer.personalised
    assert [post.reason.kind for post in answer.posts] == ["popular", "fresh"] * 2
    assert post_id(3) not in ids(await ask(stores, k=100))
    await save_users(stores, [UserRecord(user_id="u", personalised=True)])
    assert tastes(await ask(stores, k=4)) == [3] * 4


async def test_who_wants_no_personal_list_lends_nobody_his_posts(stores, log):
    log.did("u", post_id(3), 0)
    log.did("v", post_id(3), 0)
    log.did("v", post_id(5), 1)
    await log.write()
    await save_users(stores, [UserRecord(user_id="v", personalised=False)])

    kinds = {post.reason.kind for post in (await ask(stores, k=40)).posts}

    assert "similar_user" not in kinds
