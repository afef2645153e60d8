"""A request -> the answer: the user's state, the page, and the cursor for the next one (patent steps 402-408)."""

from __future__ import annotations

from datetime import datetime
from uuid import uuid4

from app.candidates.view import CandidateView
from app.errors import Unavailable
from app.recommend.choose import choose_posts
from app.recommend.explain import recommended_posts, shortfall
from app.recommend.filters import unknown_ids
from app.recommend.request import Recommendation, RecommendRequest
from app.storage.cache import Cache
from app.storage.pages import read_page, save_page
from app.storage.stores import Stores
from app.storage.user_state import CACHE, LoadedUser, load_user_state

RETURNED_AT_MOST = 2000  # posts of one feed before it has to start again from the top


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
    returned, without = await _returned(stores.cache, request)
    choice = choose_posts(view, request, user.state, returned=returned, moment=moment)
    posts = recommended_posts(view, choice, moment=moment)
    ids = (*returned, *(post.post_id for post in posts))
    cursor, without_too = await _cursor(stores.cache, request, ids) if len(posts) == request.k else (None, ())
    return Recommendation(
        recommendation_id=uuid4().hex,
        generation=view.generation,
        posts=posts,
        cursor=cursor,
        shortfall=shortfall(request, choice.passing, returned=len(returned), page=len(posts)),
        degraded=tuple(sorted({*user.degraded, *without, *without_too})),
        ignored_ids=unknown_ids(view, request),
    )


async def _returned(cache: Cache, request: RecommendRequest) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The posts of the earlier pages, and what could not be asked."""
    if request.cursor is None:
        return (), ()
    try:
        return await read_page(cache, request.user_id, request.cursor), ()
    except Unavailable:
        return (), (CACHE,)


async def _cursor(
    cache: Cache, request: RecommendRequest, returned: tuple[str, ...]
) -> tuple[str | None, tuple[str, ...]]:
    """The cursor for the next page, and what could not be asked."""
    if len(returned) >= RETURNED_AT_MOST:
        return None, ()
    try:
        return await save_page(cache, request.user_id, returned), ()
    except Unavailable:
        return None, (CACHE,)
