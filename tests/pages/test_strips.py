from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from app.domain import Act, BehaviourKind, Post, ShownPost
from app.pages.strips import acted_on, ago, strip_of

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


def _shown(post_id: str, *, hours_ago: float, kinds: tuple[BehaviourKind, ...] = ()) -> ShownPost:
    at = NOW - timedelta(hours=hours_ago)
    acts = tuple(Act(kind, at + timedelta(seconds=10 * place)) for place, kind in enumerate(kinds, start=1))
    return ShownPost(f"e-{post_id}-{hours_ago}", "u", post_id, at, 0, acts)


def test_the_strip_shows_what_was_acted_on_latest_first_and_each_post_once() -> None:
    shown = [
        _shown("a", hours_ago=9, kinds=(BehaviourKind.CLICK,)),
        _shown("b", hours_ago=8),
        _shown("c", hours_ago=7, kinds=(BehaviourKind.CLICK, BehaviourKind.LIKE)),
        _shown("a", hours_ago=2, kinds=(BehaviourKind.LIKE,)),
    ]

    assert [(one.post_id, one.shown_at.hour) for one in acted_on(shown, count=5)] == [("a", 10), ("c", 5)]
    assert [one.post_id for one in acted_on(shown, count=1)] == ["a"]


def test_a_strip_item_names_the_post_its_picture_and_each_kind_once() -> None:
    shown = _shown("a", hours_ago=3, kinds=(BehaviourKind.LIKE, BehaviourKind.CLICK, BehaviourKind.CLICK))

    item = strip_of([shown], {"a": Post("a", "Noodles", picture_hash="ab12")}, now=NOW, pictures="/demo/pictures")[0]

    assert (item.title, item.picture_url) == ("Noodles", "/demo/pictures/ab12")
    assert item.kinds == (BehaviourKind.CLICK, BehaviourKind.LIKE)
    assert [act.at_words for act in item.acts] == ["2 h", "2 h", "2 h"]


def test_a_deleted_post_is_still_a_place_in_the_strip() -> None:
    item = strip_of([_shown("gone", hours_ago=1)], {}, now=NOW, pictures="/p")[0]

    assert (item.title, item.picture_url, item.kinds) == ("(deleted)", None, ())


@pytest.mark.parametrize(
    ("seconds", "words"), [(-5, "now"), (59, "now"), (60, "1 min"), (3599, "59 min"), (7200, "2 h"), (200_000, "2 d")]
)
def test_times_are_told_in_the_largest_fitting_unit(seconds: float, words: str) -> None:
    assert ago(NOW - timedelta(seconds=seconds), NOW) == words
