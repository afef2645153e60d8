from datetime import UTC, datetime, timedelta

from app.domain import BehaviourKind, ShownPost
from app.storage.attribution import BehaviourRow, ShowingRow, with_acts

START = datetime(2026, 3, 1, tzinfo=UTC)


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def showing(exposure_id: str, minutes: float, post_id: str = "p", *, arrived: float = 0) -> ShowingRow:
    return ShowingRow(exposure_id, post_id, at(minutes), None, at(arrived))


def behaviour(kind: str, minutes: float, *, on: str | None = None, post: str = "p", arrived: float = 0) -> BehaviourRow:
    return BehaviourRow(on, post, kind, at(minutes), at(arrived))


def acts_of(shown: list[ShownPost]) -> dict[str, list[tuple[str, datetime]]]:
    return {one.exposure_id: [(act.kind.value, act.at) for act in one.acts] for one in shown if one.acts}


def test_a_behaviour_answers_the_showing_it_names():
    showings = [showing("e1", 0), showing("e2", 10)]

    shown = with_acts("u", showings, [behaviour("click", 11, on="e1")])

    assert acts_of(shown) == {"e1": [("click", at(11))]}


def test_a_behaviour_without_a_name_answers_the_latest_showing_of_its_post_up_to_its_moment():
    showings = [showing("e1", 0), showing("e2", 5, "q"), showing("e3", 10), showing("e4", 20)]

    shown = with_acts("u", showings, [behaviour("like", 10), behaviour("click", 19.9)])

    assert acts_of(shown) == {"e3": [("like", at(10)), ("click", at(19.9))]}


def test_a_name_that_is_unknown_or_of_another_post_counts_as_none():
    showings = [showing("e1", 0), showing("e2", 5, "q")]

    shown = with_acts("u", showings, [behaviour("click", 6, on="e2"), behaviour("share", 7, on="gone")])

    assert acts_of(shown) == {"e1": [("click", at(6)), ("share", at(7))]}


def test_a_behaviour_on_a_post_never_shown_before_is_left_out():
    shown = with_acts("u", [showing("e1", 5)], [behaviour("click", 4), behaviour("click", 9, post="elsewhere")])

    assert acts_of(shown) == {}


def test_an_act_before_its_named_showing_is_taken_at_the_showing():
    shown = with_acts("u", [showing("e1", 5)], [behaviour("click", 4, on="e1")])

    assert acts_of(shown) == {"e1": [("click", at(5))]}


def test_acts_are_ordered_by_moment_then_by_kind():
    given = [behaviour("comment", 3), behaviour("like", 2), behaviour("click", 3)]

    shown = with_acts("u", [showing("e1", 0)], given)

    assert [act.kind for act in shown[0].acts] == [BehaviourKind.LIKE, BehaviourKind.CLICK, BehaviourKind.COMMENT]


def test_a_shown_post_arrives_with_the_last_of_its_events():
    showings = [showing("e1", 0, arrived=1), showing("e2", 5, "q", arrived=6)]

    shown = with_acts("u", showings, [behaviour("click", 2, arrived=30), behaviour("like", 3, arrived=20)])

    assert [one.arrived_at for one in shown] == [at(30), at(6)]
