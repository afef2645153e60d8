"""T1 to T5 of the method: samples, their history sequences, the limits, and no sight of the future."""

import gc
import random
import sys
from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from itertools import islice

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain import SEQUENCES, Act, BehaviourKind, HistoryItem, Sample, Sequence, ShownPost
from app.samples.history import COUNT_CEILING, WAITING_LIMIT, HistoryLimits, history_before, samples_of_user

START = datetime(2026, 3, 1, 11, 0, tzinfo=UTC)
BROWSE, CLICK, OTHER = SEQUENCES
ONLY_BROWSE = HistoryLimits(sequences=(BROWSE,))


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def showing(minutes: float, post: str = "p", acts: dict[str, float] | None = None, *, exposure: str = "") -> ShownPost:
    """A showing so many minutes after the start; its acts as {kind: minutes after the start}."""
    happened = tuple(sorted((Act(BehaviourKind(kind), at(when)) for kind, when in (acts or {}).items()), key=_when))
    return ShownPost(exposure or f"e{minutes:07.2f}", "u", post, at(minutes), None, happened)


def _when(act: Act) -> datetime:
    return act.at


def posts(history: tuple[HistoryItem, ...], sequence: Sequence) -> list[str]:
    return [item.post_id for item in history if item.sequence == sequence]


def naive_history(shown: list[ShownPost], moment: datetime, limits: HistoryLimits) -> tuple[HistoryItem, ...]:
    """The definition, word by word: shown before, acted on before, within the window, the most recent ones."""
    history = []
    for sequence in limits.sequences:
        items = []
        for one in shown:
            if one.shown_at >= moment:
                continue
            if limits.window_seconds is not None and (moment - one.shown_at).total_seconds() > limits.window_seconds:
                continue
            seen = tuple(act for act in one.acts if act.at < moment)
            clicked = any(act.kind == "click" for act in seen)
            other = any(act.kind != "click" for act in seen)
            if {"browse": True, "click": clicked, "other": other}[sequence]:
                items.append(HistoryItem(one.post_id, sequence, one.shown_at, seen))
        history += items[-limits.count :]
    return tuple(history)


@st.composite
def logs(draw: st.DrawFn) -> list[ShownPost]:
    """One user's showings: pages shown together, posts shown twice, acts long after (or before) their showing."""
    moments = st.integers(0, 12)
    acts = st.lists(st.tuples(st.sampled_from(list(BehaviourKind)), st.integers(-2, 12)), max_size=4)
    rows = draw(st.lists(st.tuples(moments, st.sampled_from("abc"), acts), max_size=25))
    shown = []
    for number, (moment, post, acted) in enumerate(rows):
        happened = sorted((Act(kind, at(moment + delay)) for kind, delay in acted), key=_when)
        shown.append(ShownPost(f"e{number:03}", "u", post, at(moment), None, tuple(happened)))
    return sorted(shown, key=lambda one: (one.shown_at, one.exposure_id))


limits_of_any_kind = st.builds(
    HistoryLimits,
    sequences=st.permutations(SEQUENCES).flatmap(lambda all_: st.integers(1, 3).map(lambda n: tuple(all_[:n]))),
    count=st.integers(1, 5),
    window_seconds=st.none() | st.sampled_from([60.0, 180.0, 600.0]),
)


def test_t1_a_sample_is_an_exposed_post_with_the_behaviours_it_ever_got():
    shown = [showing(0, "p1", {"click": 1, "like": 90}), showing(1, "p2")]

    first, second = samples_of_user(shown, HistoryLimits())

    assert (first.post_id, first.shown_at, first.label) == ("p1", at(0), {BehaviourKind.CLICK, BehaviourKind.LIKE})
    assert (second.post_id, second.label) == ("p2", frozenset())


def test_t2_the_history_is_what_was_shown_strictly_before_in_the_order_of_showing():
    page = [showing(5, "p3", exposure="e3"), showing(5, "p4", exposure="e4")]
    shown = [showing(0, "p1"), showing(2, "p2"), *page, showing(6, "p1")]

    histories = [posts(sample.history, BROWSE) for sample in samples_of_user(shown, ONLY_BROWSE)]

    assert histories == [[], ["p1"], ["p1", "p2"], ["p1", "p2"], ["p1", "p2", "p3", "p4"]]


def test_t2_a_post_shown_twice_is_in_the_history_twice():
    shown = [showing(0, "p1", {"click": 1}), showing(2, "p1"), showing(3, "p2")]

    history = history_before(shown, at(3), ONLY_BROWSE)

    assert [(item.post_id, len(item.acts)) for item in history] == [("p1", 1), ("p1", 0)]


def test_t3_interaction_sequences_are_split_by_behaviour_and_overlap():
    shown = [showing(0, "p1"), showing(1, "p2", {"click": 2}), showing(2, "p3", {"click": 3, "comment": 4})]

    history = history_before(shown, at(9), HistoryLimits())

    assert posts(history, BROWSE) == ["p1", "p2", "p3"]
    assert posts(history, CLICK) == ["p2", "p3"]
    assert posts(history, OTHER) == ["p3"]


def test_t3_which_sequences_are_used_is_configuration():
    shown = [showing(0, "p1", {"share": 1}), showing(1, "p2", {"click": 2})]

    history = history_before(shown, at(9), HistoryLimits(sequences=(OTHER, CLICK)))

    assert [(item.sequence, item.post_id) for item in history] == [(OTHER, "p1"), (CLICK, "p2")]


def test_t4_a_count_keeps_the_most_recent_of_each_sequence():
    shown = [showing(number, f"p{number}", {"click": number + 0.5} if number < 3 else None) for number in range(6)]

    history = history_before(shown, at(9), HistoryLimits(count=2))

    assert (posts(history, BROWSE), posts(history, CLICK)) == (["p4", "p5"], ["p1", "p2"])


def test_t4_a_window_of_two_hours_keeps_what_was_shown_within_it():
    shown = [showing(-121, "p1"), showing(-120, "p2"), showing(-1, "p3")]
    limits = HistoryLimits(sequences=(BROWSE,), count=COUNT_CEILING, window_seconds=2 * 3600)

    history = history_before(shown, at(0), limits)

    assert posts(history, BROWSE) == ["p2", "p3"]


def test_t4_window_and_count_apply_together():
    shown = [showing(minutes, f"p{minutes}") for minutes in range(10)]
    limits = HistoryLimits(sequences=(BROWSE,), count=3, window_seconds=5 * 60)

    by_count = list(samples_of_user([*shown, showing(10)], limits))[-1]
    by_window = list(samples_of_user([*shown, showing(13)], limits))[-1]

    assert posts(by_count.history, BROWSE) == ["p7", "p8", "p9"]
    assert posts(by_window.history, BROWSE) == ["p8", "p9"]


def test_t5_a_history_post_carries_only_acts_before_the_moment():
    shown = [showing(0, "p1", {"click": 1, "like": 5, "share": 8}), showing(5, "p2"), showing(8.5, "p3")]

    at_five, at_eight = list(samples_of_user(shown, ONLY_BROWSE))[1:]

    assert [act.kind for act in at_five.history[0].acts] == ["click"]
    assert [act.kind for act in at_eight.history[0].acts] == ["click", "like", "share"]


def test_t5_a_late_like_brings_an_old_showing_into_its_place():
    old = showing(0, "old", {"like": 2 * 24 * 60})
    recent = [showing(10, "p1", {"like": 11}), showing(20, "p2", {"like": 21})]
    shown = [old, *recent, showing(2 * 24 * 60), showing(2 * 24 * 60 + 1)]

    before, after = list(samples_of_user(shown, HistoryLimits(sequences=(OTHER,))))[-2:]

    assert posts(before.history, OTHER) == ["p1", "p2"]
    assert posts(after.history, OTHER) == ["old", "p1", "p2"]


@settings(max_examples=300, deadline=None)
@given(shown=logs(), limits=limits_of_any_kind)
def test_every_rolling_history_is_the_naive_one(shown, limits):
    samples = list(samples_of_user(shown, limits))

    assert [sample.exposure_id for sample in samples] == [one.exposure_id for one in shown]
    for sample in samples:
        expected = naive_history(shown, sample.shown_at, limits)
        assert sample.history == expected
        assert history_before(shown, sample.shown_at, limits) == expected


@settings(max_examples=100, deadline=None)
@given(shown=logs(), limits=limits_of_any_kind)
def test_no_sample_sees_its_own_future(shown, limits):
    for sample in samples_of_user(shown, limits):
        assert all(item.shown_at < sample.shown_at for item in sample.history)
        assert all(act.at < sample.shown_at for item in sample.history for act in item.acts)


def test_a_user_with_very_many_showings_needs_bounded_memory():
    def endless():
        for number in range(60_000):
            yield showing(number, acts={"like": number + 10**6}, exposure=f"{number:06}")

    for sample in samples_of_user(endless(), HistoryLimits()):
        last = sample

    alive = sum(type(one) is ShownPost for one in gc.get_objects())
    assert last.exposure_id == "059999"
    assert alive <= 2 * WAITING_LIMIT + 100


def test_the_cost_of_a_sample_does_not_grow_with_the_showings_before_it():
    rng = random.Random(0)
    shown = [showing(n, acts={"click": n + rng.expovariate(0.01)}, exposure=f"{n:06}") for n in range(20_000)]
    samples = samples_of_user(shown, HistoryLimits())

    early = calls_made_by(islice(samples, 1_000))
    deque(islice(samples, 17_000), maxlen=0)
    late = calls_made_by(islice(samples, 1_000))

    assert late < 2 * early


def calls_made_by(samples: Iterator[Sample]) -> int:
    """Function calls of taking the samples: a cost that the load of the machine does not change."""
    calls = 0

    def count(_frame: object, event: str, _argument: object) -> None:
        nonlocal calls
        calls += event in ("call", "c_call")

    sys.setprofile(count)
    try:
        for _ in samples:
            pass
    finally:
        sys.setprofile(None)
    return calls


@pytest.mark.parametrize(
    "wrong",
    [
        {"sequences": ()},
        {"sequences": (BROWSE, BROWSE)},
        {"sequences": ("browse",)},
        {"count": 0},
        {"count": COUNT_CEILING + 1},
        {"window_seconds": 0},
        {"window_seconds": float("nan")},
        {"window_seconds": float("inf")},
    ],
)
def test_limits_that_cannot_work_are_refused_with_what_is_allowed(wrong):
    with pytest.raises(ValueError, match=f"history {next(iter(wrong))}"):
        HistoryLimits(**wrong)
