from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from app.pages.admin.alerts import Facts, alerts_of
from app.pages.words import translator
from app.storage.jobs import Job, JobKind, JobState

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
WELL = Facts(
    now=NOW,
    generation_made_at=NOW - timedelta(minutes=30),
    is_trained=True,
    reindex_interval=timedelta(minutes=60),
    log_latest_at=NOW - timedelta(minutes=1),
    new_exposures=500,
    enough_exposures=1000,
    jobs=(),
    rejection=None,
    dead_letters=3,
    waiting=0,
    without=(),
    requests=1000,
    degraded=0,
    shed=0,
    generation_bytes=1 << 20,
    free_bytes=1 << 30,
)
FAILED = Job("j", JobKind.TRAIN, JobState.FAILED, "training", 1, 2, "out of memory", None, None, NOW, NOW, NOW, 1.0)


def _alerts(**facts: object) -> list[tuple[bool, str]]:
    return [(alert.is_grave, alert.what) for alert in alerts_of(replace(WELL, **facts), translator("en"))]


def test_a_service_that_is_well_raises_none() -> None:
    assert _alerts() == []


def test_what_hurts_now_comes_before_what_will() -> None:
    alerts = _alerts(without=("Redis",), generation_made_at=NOW - timedelta(hours=9), shed=3)

    assert [is_grave for is_grave, _ in alerts] == [True, False, False]
    assert "Redis does not answer" in alerts[0][1]


def test_a_silent_log_a_sleeping_trainer_and_a_full_disk_are_told() -> None:
    words = " ".join(
        what for _, what in _alerts(log_latest_at=NOW - timedelta(days=1), new_exposures=5000, free_bytes=10)
    )

    assert "No exposure has arrived for 6 hours" in words
    assert "5,000 new exposures have not been learnt from" in words
    assert "The disk has no room" in words


def test_a_failed_job_is_told_until_one_of_its_kind_succeeds() -> None:
    assert "out of memory" in _alerts(jobs=(FAILED,))[0][1]
    assert _alerts(jobs=(replace(FAILED, state=JobState.DONE), FAILED)) == []


def test_a_share_of_few_answers_says_nothing() -> None:
    assert _alerts(requests=3, degraded=2) == []
    assert "5.0 % of the answers" in _alerts(requests=100, degraded=5)[0][1]


def test_a_refused_training_and_heaps_of_rejected_items_are_told() -> None:
    alerts = _alerts(rejection="log-loss 0.9 against 0.5", dead_letters=1001)

    assert [what for _, what in alerts] == [
        "The gate has refused the latest training: log-loss 0.9 against 0.5",
        "1,001 items that were rejected wait for another try.",
    ]
