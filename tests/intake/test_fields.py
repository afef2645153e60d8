from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from app.intake.event_records import BehaviourRecord, ExposureRecord
from app.intake.fields import parse_moment
from app.intake.posts import PostRecord
from app.intake.status import reason_of
from app.intake.users import UserRecord

MOMENT = datetime(2025, 6, 1, 4, 30, tzinfo=UTC)


def why_not(model: type, **fields: object) -> str:
    with pytest.raises(ValidationError) as caught:
        model.model_validate(fields)
    return reason_of(caught.value)


@pytest.mark.parametrize(
    "written",
    [
        "2025-06-01T04:30:00Z",
        "2025-06-01t04:30:00z",
        "2025-06-01 12:30:00+08:00",
        1748752200,
        1748752200.0,
        "1748752200",
        datetime(2025, 6, 1, 12, 30, tzinfo=timezone(timedelta(hours=8))),
    ],
)
def test_every_way_to_write_a_moment_means_the_same(written):
    assert parse_moment(written) == MOMENT


@given(st.datetimes(min_value=datetime(1970, 1, 2), max_value=datetime(2100, 1, 1)))
def test_a_moment_written_and_read_is_the_same(naive: datetime):
    moment = naive.replace(tzinfo=UTC)

    assert parse_moment(moment.isoformat()) == moment


@pytest.mark.parametrize("naive", ["2025-06-01T04:30:00", "2025-06-01", datetime(2025, 6, 1)])
def test_a_time_without_offset_is_refused_with_the_remedy(naive):
    reason = why_not(ExposureRecord, user_id="u", post_id="p", shown_at=naive)

    assert reason.startswith("shown_at: has no offset: write 2025-06-01T08:00:00+08:00")


def test_milliseconds_are_recognised():
    reason = why_not(ExposureRecord, user_id="u", post_id="p", shown_at=1748752200000)

    assert reason == "shown_at: is too large for Unix seconds: it looks like milliseconds, divide by 1000"


@pytest.mark.parametrize(
    "bad",
    [
        "",
        "soon",
        "2025-13-01T00:00:00Z",
        "nan",
        float("nan"),
        float("inf"),
        True,
        None,
        [],
        "0001-01-01T00:00:00+14:00",
    ],
)
def test_what_is_not_a_time_is_refused(bad):
    assert why_not(ExposureRecord, user_id="u", post_id="p", shown_at=bad).startswith("shown_at: ")


@pytest.mark.parametrize(
    ("bad", "words"),
    [
        ("", "must not be empty"),
        ("x" * 129, "at most 128 characters"),
        ("a\0b", "control characters"),
        ("a\nb", "control characters"),
        ("a\x85b", "control characters"),
        ("a\ud800b", "Unicode"),
        (7, "must be a string; write numbers in quotes"),
        (None, "must be a string"),
    ],
)
def test_an_id_that_cannot_be_kept_is_refused(bad, words):
    assert words in why_not(ExposureRecord, user_id=bad, post_id="p", shown_at=0)
    assert words in why_not(PostRecord, post_id=bad, title="t")
    assert words in why_not(UserRecord, user_id=bad)


@given(st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=128))
def test_any_other_string_is_an_id(text: str):
    assert UserRecord(user_id=text).user_id == text


def test_a_reason_never_repeats_the_value():
    reason = why_not(ExposureRecord, user_id="u", post_id="p", shown_at="<script>planted</script>")

    assert "planted" not in reason


@pytest.mark.parametrize("title", ["", "   \n", "t" * 1001, "a\0b", "\udfff", 5])
def test_a_title_that_says_nothing_is_refused(title):
    assert why_not(PostRecord, post_id="p", title=title).startswith("title: ")


def test_a_place_needs_both_numbers():
    assert why_not(PostRecord, post_id="p", title="t", latitude=1.0) == "latitude and longitude must come together"


@pytest.mark.parametrize(("latitude", "longitude"), [(91.0, 0.0), (0.0, -181.0), (float("nan"), 0.0), ("31", "121")])
def test_a_place_off_the_globe_is_refused(latitude, longitude):
    assert "itude: " in why_not(PostRecord, post_id="p", title="t", latitude=latitude, longitude=longitude)


def nested(levels: int) -> object:
    return {"deeper": nested(levels - 1)} if levels else {}


@pytest.mark.parametrize(
    "attributes",
    [
        [],
        "age",
        {"a": float("nan")},
        {"a": [float("inf")]},
        {"a": "\0"},
        {"\0": 1},
        {"a": "\ud800"},
        {"a": 1 << 70},
        {"a": "x" * 20_000},
        {1: 2},
        {"a": datetime(2025, 6, 1)},
        nested(25),
        {"a": {"b": object()}},
    ],
)
def test_attributes_that_json_cannot_keep_are_refused(attributes):
    assert why_not(UserRecord, user_id="u", attributes=attributes).startswith("attributes: ")


def test_a_behaviour_needs_its_exposure_or_its_user_and_post():
    reason = why_not(BehaviourRecord, kind="click", user_id="u")

    assert reason == "name the exposure_id, or the user_id and the post_id"


def test_an_unknown_kind_of_behaviour_is_refused_with_the_known_ones():
    reason = why_not(ExposureRecord, user_id="u", post_id="p", shown_at=0, behaviours=[{"kind": "stare", "at": 0}])

    assert reason == "behaviours.0.kind: should be 'click', 'like', 'share', 'favourite' or 'comment'"
