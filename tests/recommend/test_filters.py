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
nears = st.none() | st.builds(Near, st.floats(30.8, 31.6), st.floats(121, 122), st.floats(0.1, 60))
requests = st.builds(
    RecommendRequest,
    user_id=st.sampled_from(["u", "a3"]),
    filter=st.builds(PostFilter, near=nears, **words),
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
        and (wanted.near is None or is_near(float(columns.latitude[row]), float(columns.longitude[row]), wanted.near))
        and columns.post_ids[row] not in gone
        and columns.author.word(row) not in {request.user_id, *request.exclude_author_ids}
    )


def is_near(latitude: float, longitude: float, near: Near) -> bool:
    if isnan(latitude):
        return False
    north, east, north_0, east_0 = map(radians, (latitude, longitude, near.latitude, near.longitude))
    chord = sin((north - north_0) / 2) ** 2 + cos(north) * cos(north_0) * sin((east - east_0) / 2) ** 2
    return 2 * 6371.0088 * asin(sqrt(chord)) <= near.radius_km


@settings(max_examples=150, deadline=None)
@given(request=requests, seen=ids, returned=ids)
def test_the_mask_equals_the_rule_applied_to_each_post(request, seen, returned):
    passing = passing_posts(VIEW, request, seen=seen, returned=returned, moment=NOW)

    session = {act.post_id for act in request.session}
    gone = {*request.exclude_post_ids, *returned, *(() if request.include_seen else {*seen, *session})}
    expected = [may_pass(VIEW, row, request, gone=gone) for row in range(len(VIEW.columns))]
    assert passing.mask.tolist() == expected
    assert passing.left == sum(expected)


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
