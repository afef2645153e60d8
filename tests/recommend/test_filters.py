"""Which posts may be recommended, compared with one post at a time."""

from __future__ import annotations

from math import asin, cos, isnan, radians, sin, sqrt

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.candidates.view import CandidateView
from app.domain import BehaviourKind, PostAct
from app.recommend.filters import passing_posts, unknown_ids
from app.recommend.request import Near, PostFilter, RecommendRequest
from tests.recommend.small_view import CATEGORIES, NOW, post_id, small_view

VIEW = small_view()
ids = st.lists(st.integers(0, 210).map(post_id), max_size=40).map(tuple)
words = {
    "category": st.lists(st.sampled_from([*CATEGORIES, "none"]), max_size=2).map(tuple),
    "city": st.lists(st.sampled_from(["上海", "北京"]), max_size=2).map(tuple),
    "tags": st.lists(st.sampled_from(["t0", "t1", "t9"]), max_size=2).map(tuple),
}
attributes = st.fixed_dictionaries(
    {},
    optional={
        "price": st.lists(st.sampled_from([0, 1.0, 7]), min_size=1).map(tuple),
        "open": st.booleans().map(lambda value: (value,)),
        "styles": st.lists(st.sampled_from(["s0", "s3", "none"])).map(tuple),
        "nothing": st.just(("x",)),
    },
)
nears = st.none() | st.builds(Near, st.floats(30.8, 31.6), st.floats(121, 122), st.floats(0.1, 60))
requests = st.builds(
    RecommendRequest,
    user_id=st.sampled_from(["u", "a3"]),
    filter=st.builds(PostFilter, near=nears, attributes=attributes, **words),
    exclude_post_ids=ids,
    exclude_author_ids=st.lists(st.sampled_from(["a1", "a2", "nobody"])).map(tuple),
    include_seen=st.booleans(),
    session=st.lists(st.integers(0, 210), max_size=3).map(
        lambda numbers: tuple(PostAct(post_id(number), BehaviourKind.CLICK, NOW) for number in numbers)
    ),
)


def may_pass(view: CandidateView, row: int, request: RecommendRequest, *, gone: set[str]) -> bool:
    """The rule, for one post."""
    columns, wanted = view.columns, request.filter
    return (
        bool(view.alive[row])
        and columns.expires_at[row] > NOW.timestamp()
        and (not wanted.category or columns.category.word(row) in wanted.category)
        and (not wanted.city or columns.city.word(row) in wanted.city)
        and (not wanted.tags or bool(set(wanted.tags) & set(columns.tags[row])))
        and all(has_any(number_of(columns.post_ids[row]), name, values) for name, values in wanted.attributes.items())
        and (wanted.near is None or is_near(float(columns.latitude[row]), float(columns.longitude[row]), wanted.near))
        and columns.post_ids[row] not in gone
        and columns.author.word(row) not in {request.user_id, *request.exclude_author_ids}
    )


def number_of(one: str) -> int:
    return int(one[1:])


def has_any(number: int, name: str, values: tuple[object, ...]) -> bool:
    """Whether post `number` of the small view has one of the values under the name."""
    has = {"price": [number % 3], "open": [number % 2 == 0], "styles": [f"s{number % 4}", "any"]}.get(name, [])
    return any(one == value and isinstance(one, bool) == isinstance(value, bool) for one in has for value in values)


def is_near(latitude: float, longitude: float, near: Near) -> bool:
    if isnan(latitude):
        return False
    north, east, north_0, east_0 = map(radians, (latitude, longitude, near.latitude, near.longitude))
    chord = sin((north - north_0) / 2) ** 2 + cos(north) * cos(north_0) * sin((east - east_0) / 2) ** 2
    return 2 * 6371.0088 * asin(sqrt(chord)) <= near.radius_km


@settings(max_examples=150, deadline=None)
@given(request=requests, seen=ids, returned=ids, rejected=ids)
def test_the_mask_equals_the_rule_applied_to_each_post(request, seen, returned, rejected):
    passing = passing_posts(VIEW, request, seen=seen, rejected=rejected, returned=returned, moment=NOW)

    session = {act.post_id for act in request.session}
    gone = {*request.exclude_post_ids, *returned, *rejected, *(() if request.include_seen else {*seen, *session})}
    expected = [may_pass(VIEW, row, request, gone=gone) for row in range(len(VIEW.columns))]
    assert passing.mask.tolist() == expected
    assert passing.left == sum(expected)


@settings(max_examples=100, deadline=None)
@given(reserved=st.lists(st.integers(0, 210).map(post_id), unique=True), k=st.integers(1, 100))
def test_reserved_posts_are_held_back_as_far_as_the_page_can_be_filled_without_them(reserved, k):
    request = RecommendRequest("u", k=k)
    free = passing_posts(VIEW, request, seen=(), returned=(), moment=NOW)

    passing = passing_posts(VIEW, request, seen=(), returned=(), reserved=reserved, moment=NOW)

    assert passing.left == free.left
    standing = [VIEW.row_of[one] for one in reserved if one in VIEW.row_of and free.mask[VIEW.row_of[one]]]
    held = [row for row in standing if not passing.mask[row]]
    assert held == standing[len(standing) - len(held) :]  # the latest; the oldest come back first
    assert len(held) == min(len(standing), max(0, free.left - k))
    assert np.count_nonzero(free.mask != passing.mask) == len(held)


@pytest.mark.parametrize(("radius_km", "passes"), [(1.0, False), (1.2, True)])
def test_the_radius_is_in_kilometres_on_the_ground(radius_km, passes):
    row = int(np.flatnonzero(~np.isnan(VIEW.columns.latitude) & np.isinf(VIEW.columns.expires_at))[0])
    latitude, longitude = float(VIEW.columns.latitude[row]), float(VIEW.columns.longitude[row])
    a_hundredth_degree_north = Near(latitude + 0.01, longitude, radius_km)  # 1.112 km

    request = RecommendRequest("u", filter=PostFilter(near=a_hundredth_degree_north))
    passing = passing_posts(VIEW, request, seen=(), returned=(), moment=NOW)

    assert bool(passing.mask[row]) is passes


def test_ids_that_no_candidate_has_are_reported_once():
    session = (PostAct("nothing", BehaviourKind.LIKE, NOW),)
    request = RecommendRequest(
        "u", exclude_post_ids=("nothing", post_id(1)), exclude_author_ids=("nobody", "a1"), session=session
    )

    assert unknown_ids(VIEW, request) == ("nothing", "nobody")
