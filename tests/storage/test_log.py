"""The log as the trainer reads it, on a real PostgreSQL."""

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Engine, text

from app.domain import BEHAVIOUR_KINDS, Sample, ShownPost
from app.errors import Unavailable
from app.samples.history import HistoryLimits, samples_of_user
from app.storage.log import (
    SHOWINGS_PER_USER,
    Watermark,
    count_exposures,
    current_watermark,
    is_replayed,
    shown_posts,
    split_moment,
    stream_user_ids,
)
from app.storage.postgres import sync_engine, sync_transaction

START = datetime(2026, 3, 1, tzinfo=UTC)
TOMORROW = datetime.now(UTC) + timedelta(days=1)


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = sync_engine(database_url)
    yield engine
    engine.dispose()


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def run(engine: Engine, statement: str, **values: object) -> None:
    with sync_transaction(engine) as connection:
        connection.execute(text(statement), values)


def expose(
    engine: Engine, exposure_id: str, user_id: str, minutes: float, *, post: str = "p", arrived: datetime | None = None
):
    run(
        engine,
        "INSERT INTO exposures VALUES (:exposure, :user, :post, :shown, 3, 'home', NULL, coalesce(:arrived, now()))",
        **{"exposure": exposure_id, "user": user_id, "post": post, "shown": at(minutes), "arrived": arrived},
    )


def act(
    engine: Engine, behaviour_id: str, user_id: str, minutes: float, *, kind: str = "click", post: str = "p", **more
):
    run(
        engine,
        "INSERT INTO behaviours VALUES (:behaviour, :user, :post, :kind, :at, :exposure, coalesce(:arrived, now()))",
        **{"behaviour": behaviour_id, "user": user_id, "post": post, "kind": kind, "at": at(minutes)},
        **{"exposure": None, "arrived": None, **more},
    )


def expose_many(engine: Engine, exposures: int, *, users: int, seconds_apart: float = 60) -> None:
    run(
        engine,
        """INSERT INTO exposures (exposure_id, user_id, post_id, shown_at)
           SELECT 'e' || lpad(n::text, 7, '0'), 'u' || n % :users, 'p' || n % 50,
                  :start + n * make_interval(secs => :apart)
           FROM generate_series(1, :exposures) AS n""",
        **{"exposures": exposures, "users": users, "start": START, "apart": seconds_apart},
    )


def users_of(engine: Engine, **choice) -> list[str]:
    return [user for page in stream_user_ids(engine, **{"seed": 1, **choice}) for user in page]


def all_shown(engine: Engine, *users: str) -> dict[str, list[ShownPost]]:
    return dict(shown_posts(engine, users or sorted(users_of(engine)), until=TOMORROW))


def test_the_watermark_passes_what_is_committed(engine):
    expose(engine, "e1", "u", 0)

    watermark = current_watermark(engine)

    assert count_exposures(engine, since=None, until=watermark) == 1
    assert count_exposures(engine, since=watermark, until=current_watermark(engine)) == 0


def test_the_watermark_waits_for_a_transaction_held_open(engine):
    with sync_transaction(engine) as writer:
        writer.execute(text("SELECT 1"))
        expose(engine, "e2", "u", 0)
        held_back = current_watermark(engine)
        writer.execute(
            text("INSERT INTO exposures (exposure_id, user_id, post_id, shown_at) VALUES ('e1', 'u', 'p', now())")
        )
    afterwards = current_watermark(engine)

    assert count_exposures(engine, since=None, until=held_back) == 0
    assert count_exposures(engine, since=held_back, until=afterwards) == 2


def test_exposures_are_counted_between_two_watermarks(engine):
    for number in range(4):
        expose(engine, f"e{number}", "u", 0, arrived=at(number))

    assert count_exposures(engine, since=None, until=Watermark(at(3))) == 3
    assert count_exposures(engine, since=Watermark(at(1)), until=Watermark(at(3))) == 2


def test_the_split_leaves_the_latest_share_behind_it(engine):
    expose_many(engine, 1_000, users=7)

    assert split_moment(engine, 0.1) == at(900)


def test_the_split_of_a_large_log_is_found_from_a_sample_of_it(engine):
    expose_many(engine, 40_000, users=7)

    split = split_moment(engine, 0.1, sampled_bytes=1 << 20)

    assert split is not None
    assert abs(split - at(36_000)) < timedelta(minutes=2_000)


def test_the_split_keeps_together_what_was_shown_together(engine):
    expose_many(engine, 950, users=7, seconds_apart=0)
    for number in range(50):
        expose(engine, f"late{number}", "u", 60 + number // 25)

    assert split_moment(engine, 0.1) == at(60)


@pytest.mark.parametrize(("exposures", "seconds_apart"), [(0, 60), (99, 60), (200, 0)])
def test_a_log_too_small_or_of_one_moment_is_not_split(engine, exposures, seconds_apart):
    expose_many(engine, exposures, users=2, seconds_apart=seconds_apart)

    assert split_moment(engine, 0.1) is None


def test_every_user_comes_once_in_an_order_that_the_seed_gives(engine):
    expose_many(engine, 300, users=100)

    first, again, other = users_of(engine, seed=1, page_size=7), users_of(engine, seed=1), users_of(engine, seed=2)

    assert sorted(first) == sorted({f"u{n}" for n in range(100)})
    assert first == again
    assert sorted(other) == sorted(first)
    assert other != first


def test_users_with_news_are_those_with_events_that_arrived_since(engine):
    expose(engine, "e1", "old", 0, arrived=at(1))
    expose(engine, "e2", "shown", 0, arrived=at(5))
    expose(engine, "e3", "acted", 0, arrived=at(1))
    act(engine, "b1", "acted", 1, arrived=at(6))

    assert sorted(users_of(engine, arrived_since=at(5))) == ["acted", "shown"]
    assert users_of(engine, arrived_since=at(5), until=Watermark(at(6))) == ["shown"]
    assert users_of(engine, arrived_since=at(7)) == []


def test_users_can_be_asked_for_by_what_was_shown_lately(engine):
    expose(engine, "e1", "early", 0)
    expose(engine, "e2", "late", 10)
    expose(engine, "e3", "late", 11)

    assert users_of(engine, shown_since=at(10)) == ["late"]
    assert sorted(users_of(engine, shown_since=at(10), arrived_since=at(0))) == ["early", "late"]


def test_a_share_of_the_users_without_news_is_replayed_another_one_with_each_seed(engine):
    expose_many(engine, 1_000, users=1_000)

    first, second = (users_of(engine, seed=seed, arrived_since=TOMORROW, replay_share=0.2) for seed in (1, 2))

    assert first == [user for user in users_of(engine, seed=1) if is_replayed(user, seed=1, share=0.2)]
    assert 140 < len(first) < 260
    assert len(set(first) & set(second)) < 0.5 * len(first)


def test_a_stream_of_users_left_open_holds_no_transaction(engine):
    expose_many(engine, 100, users=50)
    stream = stream_user_ids(engine, seed=1, page_size=10)
    next(stream)
    expose(engine, "e_new", "u", 0)

    while_open = count_exposures(engine, since=None, until=current_watermark(engine))
    stream.close()

    assert while_open == 101


def test_showings_come_user_by_user_oldest_first_with_their_acts(engine):
    expose(engine, "e3", "u1", 5, post="c")
    expose(engine, "e2", "u1", 1, post="b")
    expose(engine, "e1", "u1", 1, post="a")
    expose(engine, "x1", "u2", 0)
    act(engine, "b1", "u1", 2, post="b", kind="share", exposure="e2")
    act(engine, "b2", "u2", 4)

    shown = list(shown_posts(engine, ["u2", "nobody", "u1"], until=TOMORROW))

    assert [(user, [one.exposure_id for one in posts]) for user, posts in shown] == [
        ("u2", ["x1"]),
        ("u1", ["e1", "e2", "e3"]),
    ]
    assert [[act.kind.value for act in one.acts] for one in shown[1][1]] == [[], ["share"], []]
    assert (shown[0][1][0].position, shown[0][1][0].acts[0].at) == (3, at(4))


def test_what_arrived_at_the_watermark_or_later_is_not_read(engine):
    expose(engine, "e1", "u", 0, arrived=at(1))
    expose(engine, "e2", "u", 1, arrived=at(2))
    act(engine, "b1", "u", 0.5, arrived=at(2))

    (_, before), *_ = shown_posts(engine, ["u"], until=Watermark(at(2)))
    (_, after), *_ = shown_posts(engine, ["u"], until=at(2.1))

    assert [(one.exposure_id, len(one.acts), one.arrived_at) for one in before] == [("e1", 0, at(1))]
    assert [(one.exposure_id, len(one.acts), one.arrived_at) for one in after] == [("e1", 1, at(2)), ("e2", 0, at(2))]


def test_a_behaviour_that_names_the_showing_of_another_user_answers_ones_own(engine):
    expose(engine, "e1", "u", 0)
    expose(engine, "e2", "somebody", 1)
    act(engine, "b1", "u", 2, exposure="e2")

    shown = all_shown(engine)

    assert [len(shown[user][0].acts) for user in ("u", "somebody")] == [1, 0]


def test_of_one_user_only_the_most_recent_showings_are_read(engine):
    expose_many(engine, SHOWINGS_PER_USER + 5, users=1)

    shown = all_shown(engine)["u0"]

    assert len(shown) == SHOWINGS_PER_USER
    assert shown[0].exposure_id == "e0000006"


def test_a_server_that_is_not_there_is_unavailable():
    engine = sync_engine("postgresql://nobody@127.0.0.1:1/none")

    with pytest.raises(Unavailable, match="PostgreSQL"):
        current_watermark(engine)
    with pytest.raises(Unavailable, match="PostgreSQL"):
        next(stream_user_ids(engine, seed=0))
    with pytest.raises(Unavailable, match="PostgreSQL"):
        next(shown_posts(engine, ["u"], until=TOMORROW))


def test_a_connection_lost_in_the_middle_of_a_stream_is_unavailable(engine):
    expose_many(engine, 20_000, users=20)
    users = stream_user_ids(engine, seed=1, page_size=10)
    shown = shown_posts(engine, next(users), until=TOMORROW)
    next(shown)

    run(
        engine,
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
        "WHERE datname = current_database() AND pid <> pg_backend_pid() AND backend_type = 'client backend'",
    )

    with pytest.raises(Unavailable, match="PostgreSQL"):
        next(users)
    with pytest.raises(Unavailable, match="PostgreSQL"):
        list(shown)


# One user's events: (minute, post) of showings; (kind, minutes after, showing or post) of behaviours.
MOMENTS = st.integers(0, 12)
SHOWINGS = st.lists(st.tuples(MOMENTS, st.sampled_from("abc")), min_size=1, max_size=12)
BEHAVIOURS = st.lists(
    st.tuples(st.sampled_from(BEHAVIOUR_KINDS), MOMENTS, st.sampled_from("abc"), st.none() | st.integers(0, 15)),
    max_size=12,
)
with_a_database = settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])


def write_log(engine: Engine, events: list[dict[str, object]]) -> None:
    """Replace the log by these events, arriving one transaction after the other."""
    run(engine, "TRUNCATE exposures, behaviours")
    for event in events:
        {"exposure": expose, "behaviour": act}[event["what"]](engine, *event["facts"], **event["more"])


def events_of(showings: list, behaviours: list) -> list[dict]:
    """The drawn events as calls; a behaviour may name a showing, one of another post, or one that is not there."""
    events = [
        {"what": "exposure", "facts": (f"e{n:02}", "u", minute), "more": {"post": post}, "minute": minute}
        for n, (minute, post) in enumerate(showings)
    ]
    for n, (kind, minute, post, named) in enumerate(behaviours):
        exposure = None if named is None else f"e{named:02}"
        # An act happens at the showing it answers at the earliest, whatever its clock says.
        answers = named is not None and named < len(showings) and showings[named][1] == post
        happens = max(minute, showings[named][0]) if answers else minute
        more = {"kind": kind.value, "post": post, "exposure": exposure}
        events.append({"what": "behaviour", "facts": (f"b{n:02}", "u", minute), "more": more, "minute": happens})
    return events


def samples_in(engine: Engine) -> dict[str, Sample]:
    shown = all_shown(engine).get("u", [])
    return {sample.exposure_id: sample for sample in samples_of_user(shown, HistoryLimits(count=4))}


@with_a_database
@given(showings=SHOWINGS, behaviours=BEHAVIOURS, seed=st.integers(0, 99))
def test_samples_do_not_depend_on_the_order_of_arrival(engine, showings, behaviours, seed):
    events = events_of(showings, behaviours)
    write_log(engine, events)
    in_order = samples_in(engine)

    write_log(engine, random.Random(seed).sample(events, len(events)))

    assert samples_in(engine) == in_order


@with_a_database
@given(showings=SHOWINGS, behaviours=BEHAVIOURS, cut=MOMENTS)
def test_no_sample_sees_its_future_and_later_events_change_no_earlier_history(engine, showings, behaviours, cut):
    events = events_of(showings, behaviours)
    write_log(engine, [event for event in events if event["minute"] < cut])
    before = samples_in(engine)

    write_log(engine, events)
    after = samples_in(engine)

    for exposure_id, sample in before.items():
        assert after[exposure_id] == replace(sample, label=after[exposure_id].label)
        assert after[exposure_id].label >= sample.label
    for sample in after.values():
        assert all(item.shown_at < sample.shown_at for item in sample.history)
        assert all(done.at < sample.shown_at for item in sample.history for done in item.acts)


def test_nobody_learns_from_a_user_who_wants_no_personal_list(engine: Engine):
    for user in ("u1", "u2"):
        expose(engine, f"e-{user}", user, 0)
        run(engine, "INSERT INTO users (user_id, personalised) VALUES (:user, :wanted)", user=user, wanted=user == "u1")

    assert [user for page in stream_user_ids(engine, seed=1) for user in page] == ["u1"]
