"""Whatever is asked at once: the page is full when enough posts pass, and nothing on it breaks a rule."""

from __future__ import annotations

from dataclasses import replace
from random import Random

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain import Act, BehaviourKind, ShownPost
from app.recommend.choose import choose_posts
from app.recommend.diversify import diversified
from app.recommend.explain import recommended_posts, shortfall
from app.recommend.filters import passing_posts
from app.recommend.newcomers import popular_and_fresh
from app.recommend.request import PostFilter, RecommendRequest
from app.storage.user_state import UserState
from tests.recommend.small_view import CATEGORIES, NOW, post_id, small_view
from tests.storage.logbook import minute

VIEW = small_view()
COPIES = small_view(prints={number: Random(number % 20).getrandbits(63) for number in range(0, 200, 2)})
KINDS = list(BehaviourKind)


def state_of(liked: list[int], seen: list[int]) -> UserState:
    shown = [
        ShownPost(f"e{place:03}", "u", post_id(number), minute(place), None, (Act(KINDS[number % 5], minute(place)),))
        for place, number in enumerate(liked)
    ]
    return UserState(tuple(shown), frozenset(post_id(number) for number in [*liked, *seen]))


requests = st.builds(
    RecommendRequest,
    user_id=st.just("u"),
    k=st.integers(1, 100),
    filter=st.builds(PostFilter, category=st.lists(st.sampled_from(CATEGORIES), max_size=2).map(tuple)),
    include_seen=st.booleans(),
    diversity=st.sampled_from([0.0, 0.3, 1.0]),
    behaviour_weights=st.sampled_from([{}, {BehaviourKind.LIKE: 1.0}, {BehaviourKind.CLICK: -1.0}]),
)
numbers = st.lists(st.integers(0, 205), max_size=60)


@settings(max_examples=120, deadline=None)
@given(
    request=requests, liked=numbers, seen=numbers, returned=numbers, pinned=st.lists(st.integers(0, 205), max_size=8)
)
def test_a_page_is_full_when_enough_posts_pass_and_holds_nothing_else(request, liked, seen, returned, pinned):
    state, before = state_of(liked, seen), [post_id(number) for number in returned]
    view = replace(VIEW, pinned=[post_id(number) for number in dict.fromkeys(pinned)])

    choice = choose_posts(view, request, state, returned=before, moment=NOW)

    passing = passing_posts(view, request, seen=state.seen, returned=before, moment=NOW)
    rows = choice.rows.tolist()
    first = [row for row in dict.fromkeys(pinned) if row < len(passing.mask) and passing.mask[row]][: request.k]
    assert rows[: len(first)] == first
    assert len(rows) == len(set(rows)) == min(request.k, passing.left)
    assert passing.mask[rows].all()
    posts = recommended_posts(view, choice)
    assert [post.post_id for post in posts] == [view.columns.post_ids[row] for row in rows]
    assert [post.reason.kind for post in posts].count("pinned") == len(first)
    scores = [post.score for post in posts]
    assert choice.matched.scores.size == 0 or min(scores[: len(first)], default=np.inf) >= choice.matched.scores.max()
    short = shortfall(request, choice, returned=len(before))
    assert (short is None) == (len(rows) == request.k)


@settings(max_examples=60, deadline=None)
@given(liked=numbers, k=st.integers(1, 50))
def test_without_diversity_the_page_is_the_top_of_the_whole_catalogue(liked, k):
    choice = choose_posts(VIEW, RecommendRequest("u", k=k), state_of(liked, []), returned=(), moment=NOW)

    scores = choice.matched.scores
    assert (np.diff(scores) <= 1e-6).all()
    if choice.references:
        everything = choose_posts(VIEW, RecommendRequest("u", k=100), state_of(liked, []), returned=(), moment=NOW)
        assert choice.matched.rows.tolist() == everything.matched.rows[:k].tolist()


@settings(max_examples=80, deadline=None)
@given(
    liked=numbers,
    k=st.integers(1, 60),
    diversity=st.sampled_from([0.0, 0.4]),
    of_author=st.none() | st.integers(1, 3),
    of_category=st.none() | st.integers(1, 5),
)
def test_limits_hold_and_the_page_is_full_unless_no_further_post_may_join(liked, k, diversity, of_author, of_category):
    request = RecommendRequest(
        "u", k=k, diversity=diversity, author_posts_at_most=of_author, category_posts_at_most=of_category
    )

    choice = choose_posts(COPIES, request, state_of(liked, []), returned=(), moment=NOW)

    page = choice.rows.tolist()
    rest = [row for row in np.flatnonzero(choice.passing.mask).tolist() if row not in page]
    assert all(fits(row, page[:place], of_author, of_category) for place, row in enumerate(page))
    assert len(page) == k or not any(fits(row, page, of_author, of_category) for row in rest)


def fits(row: int, page: list[int], of_author: int | None, of_category: int | None) -> bool:
    """The rule of who may join a page, one post at a time."""
    columns = COPIES.columns
    author = [columns.author.word(one) for one in page].count(columns.author.word(row))
    category = [columns.category.word(one) for one in page].count(columns.category.word(row))
    return (
        (of_author is None or author < of_author)
        and (of_category is None or category < of_category)
        and (columns.picture_prints[row] == 0 or columns.picture_prints[row] not in columns.picture_prints[page])
    )


def test_more_diversity_makes_posts_less_alike():
    state = state_of([3, 4, 5], [])

    likeness = []
    for diversity in (0.0, 0.5, 1.0):
        choice = choose_posts(VIEW, RecommendRequest("u", diversity=diversity), state, returned=(), moment=NOW)
        vectors = VIEW.vectors[choice.rows]
        likeness.append(float((vectors @ vectors.T).mean()))

    assert likeness[0] > likeness[1] > likeness[2]


def test_each_next_post_is_the_best_by_the_margin():
    random = np.random.default_rng(1)
    scores = np.sort(random.normal(size=30).astype(np.float32))[::-1]
    vectors = random.normal(size=(30, 4)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)

    places = diversified(scores, vectors, count=10, diversity=0.4, takes=lambda place: True).tolist()

    relevance = (scores - scores.min()) / (scores.max() - scores.min())
    for step in range(1, 10):
        chosen, rest = places[:step], [one for one in range(30) if one not in places[:step]]
        margin = {one: 0.6 * relevance[one] - 0.4 * max(vectors[one] @ vectors[two] for two in chosen) for one in rest}
        assert places[step] == max(margin, key=lambda one: margin[one])


@settings(max_examples=60, deadline=None)
@given(passing=st.lists(st.booleans(), min_size=200, max_size=200), count=st.integers(0, 100))
def test_popular_and_fresh_posts_fill_whatever_is_asked(passing, count):
    mask = np.asarray(passing)

    rows, kinds = popular_and_fresh(VIEW, mask, count=count)

    assert len(rows) == len(kinds) == len(set(rows.tolist())) == min(count, int(mask.sum()))
    assert mask[rows].all()
