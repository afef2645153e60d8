from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from app.domain import BehaviourKind
from app.storage.rates import Rates, in_buckets

SINCE = datetime(2026, 1, 1, tzinfo=UTC)
SPAN, BUCKET = timedelta(hours=24), timedelta(hours=1)


@given(st.lists(st.integers(0, 26), unique=True))
def test_nothing_that_was_counted_is_missing_in_the_buckets(hours: list[int]):
    found = [(SINCE + hour * BUCKET, Rates(hour + 1, {BehaviourKind.CLICK: 1})) for hour in hours]

    buckets = in_buckets(found, since=SINCE, span=SPAN, bucket=BUCKET)

    assert len(buckets) == 24
    assert sum(one.shown for one in buckets) == sum(hour + 1 for hour in hours)
    assert sum(one.acted.get(BehaviourKind.CLICK, 0) for one in buckets) == len(hours)
    assert all(buckets[hour].shown == hour + 1 for hour in hours if hour < 23)
