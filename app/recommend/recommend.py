"""A request -> the answer: the user's state, the page, and the cursor for the next one (patent steps 402-408)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from random import Random

from app.candidates.view import CandidateView
from app.errors import Unavailable
from app.recommend.choose import Choice, choose_posts
from app.recommend.explain import recommended_posts, shortfall
from app.recommend.explore import explored
from app.recommend.filters import unknown_ids
from app.recommend.request import Recommendation, RecommendRequest
from app.storage.cache import Cache
from app.storage.pages import Feed, read_feed, save_page
from app.storage.reservations import Overtaken
from app.storage.stores import Stores
from app.storage.trace import Trace, tags_of
from app.storage.user_state import CACHE, LoadedUser, load_user_state

TRIES = 3  # pages made for one call while others for the same user take their posts
CHANCE = Random()  # noqa: S311 (decides which new post is tried, nothing that anybody must not guess)


async def recommend(
    stores: Stores,
    view: CandidateView,
    request: RecommendRequest,
    *,
    moment: datetime,
    user: LoadedUser | None = None,
) -> Recommendation:
    """Recommend posts to a user; `user` may have been loaded before. Raises ExpiredCursor.

    A store that is down makes the answer poorer, never an error: `degraded` says what it went without. Without Redis a
    page after the first may repeat posts of the pages before it, unless they were recorded as shown.
    """
    user = user or await load_user_state(stores, request.user_id)
    if not user.state.personalised:
        request = replace(request, session=())
    feed, without = await _feed(stores.cache, request)
    degraded = {*user.degraded, *without}
    # A feed that goes on knows what it has got; and whoever asks for posts seen before asks for these too.
    is_free = request.cursor is None and not request.include_seen
    reservations = user.reserved
    for tries_left in reversed(range(TRIES)):
        reserved = reservations.post_ids if is_free else ()
        found, left = _page(view, request, user, feed, reserved=reserved, moment=moment)
        page = [post.post_id for post in found.posts]
        cursor = None
        try:
            cursor = await save_page(
                stores.cache,
                request.user_id,
                feed,
                page,
                reservations=reservations,
                reserved_seconds=request.reserved_seconds,
                unless_overtaken=is_free and tries_left > 0,
                goes_on=0 < len(page) < left,
            )
        except Unavailable:
            degraded.add(CACHE)
        except Overtaken as overtaken:
            reservations = overtaken.now
            continue
        break
    return replace(found, cursor=cursor, degraded=tuple(sorted(degraded)))


def _page(
    view: CandidateView,
    request: RecommendRequest,
    user: LoadedUser,
    feed: Feed,
    *,
    reserved: Sequence[str],
    moment: datetime,
) -> tuple[Recommendation, int]:
    """The answer without a cursor, and how many posts were left before it."""
    choice = choose_posts(view, request, user.state, returned=feed.post_ids, reserved=reserved, moment=moment)
    choice = explored(view, request, choice, moment=moment, chance=CHANCE)
    posts = recommended_posts(view, choice, language=request.language)
    found = Recommendation(
        recommendation_id=_trace(view, request, choice).new_id(),
        generation=view.generation,
        posts=posts,
        cursor=None,
        shortfall=shortfall(request, choice, returned=len(feed.post_ids)),
        degraded=(),
        ignored_ids=unknown_ids(view, request),
        personalised=user.state.personalised,
        experiment=request.experiment,
        arm=request.arm,
    )
    return found, choice.passing.left


def _trace(view: CandidateView, request: RecommendRequest, choice: Choice) -> Trace:
    """What the id of the recommendation tells of its making."""
    exploration = choice.exploration
    if exploration is None:
        return Trace(request.experiment, request.arm)
    drawn = tags_of(view.columns.post_ids[row] for row in exploration.row_at.values())
    pinned = len(choice.pinned_rows)
    return Trace(request.experiment, request.arm, exploration.share, exploration.pool, drawn, pinned)


async def _feed(cache: Cache, request: RecommendRequest) -> tuple[Feed, tuple[str, ...]]:
    """The posts of the earlier pages, and what could not be asked."""
    if request.cursor is None:
        return Feed(), ()
    try:
        return await read_feed(cache, request.user_id, request.cursor), ()
    except Unavailable:
        return Feed(), (CACHE,)
