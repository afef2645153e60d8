"""What is known of a running service -> what needs attention, in words, each with what to do."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta

from app.pages.words import Translate
from app.storage.jobs import Job, JobState

LATE_INTERVALS = 3.0  # so many reindex intervals without a new generation are a sign that nobody makes one
LOG_SILENT = timedelta(hours=6)
WAITING_POSTS = 500
DEGRADED_SHARE = 0.01
REQUESTS_ENOUGH = 20  # below it a share says nothing
LETTERS_MANY = 1000
ROOM_FACTOR = 2  # generations that should fit on the disk


@dataclass(frozen=True, slots=True)
class Alert:
    """One thing that needs attention."""

    is_grave: bool  # recommendations suffer now; otherwise they will
    what: str
    do: str


@dataclass(frozen=True)
class Facts:
    """What alerts are judged by."""

    now: datetime  # UTC, aware
    generation_made_at: datetime | None  # None before the first
    is_trained: bool
    reindex_interval: timedelta
    log_latest_at: datetime | None  # None for an empty log
    new_exposures: int | None  # since the serving network last read the log; None when not counted
    enough_exposures: int  # that start a training
    jobs: tuple[Job, ...]  # latest first
    rejection: str | None  # why the gate has refused the latest training
    dead_letters: int  # rejected items that are kept
    waiting: int  # posts to be encoded
    without: tuple[str, ...]  # stores that do not answer
    requests: int  # to recommend, of this process
    degraded: int  # of these
    shed: int  # requests refused because all places were taken
    generation_bytes: int
    free_bytes: int


def alerts_of(facts: Facts, t: Translate) -> list[Alert]:
    """The grave ones first."""
    found = [*_of_serving(facts, t), *_of_learning(facts, t), *_of_load(facts, t)]
    return sorted(found, key=lambda alert: not alert.is_grave)


def _of_serving(facts: Facts, t: Translate) -> Iterator[Alert]:
    for store in facts.without:
        yield Alert(
            True,
            t("{store} does not answer: recommendations go on without it.", store=store),
            t("See whether it runs and whether its address is right (stores.md)."),
        )
    if facts.generation_made_at is None:
        yield Alert(
            True,
            t("There is no generation yet, so nothing can be recommended."),
            t("Import posts, then start a reindex on the page Generations."),
        )
    elif facts.now - facts.generation_made_at > LATE_INTERVALS * facts.reindex_interval:
        yield Alert(
            False,
            t("The serving generation is older than {count} reindex intervals.", count=int(LATE_INTERVALS)),
            t("See whether `tuwen trainer` runs; or start a reindex on the page Generations."),
        )
    if facts.waiting > WAITING_POSTS:
        yield Alert(
            False,
            t("{count} posts wait to be encoded and are not recommended yet.", count=f"{facts.waiting:,}"),
            t("After a large import, start a reindex: it encodes them beside the API."),
        )
    if facts.free_bytes < ROOM_FACTOR * facts.generation_bytes:
        yield Alert(
            True,
            t("The disk has no room for two more generations."),
            t("Make room in TUWEN_HOME, or keep fewer with TUWEN_GENERATIONS_KEPT."),
        )


def _of_learning(facts: Facts, t: Translate) -> Iterator[Alert]:
    for kind in {job.kind for job in facts.jobs}:
        latest = next(job for job in facts.jobs if job.kind is kind)
        if latest.state is JobState.FAILED:
            yield Alert(
                False,
                t("The latest job of kind {kind} failed: {error}", kind=t(str(kind)), error=latest.error or ""),
                t("The page Jobs tells more; what served before serves on."),
            )
    if facts.rejection:
        yield Alert(
            False,
            t("The gate has refused the latest training: {reason}", reason=facts.rejection),
            t("What served before serves on. Compare the two on the page Generations (see the runbook)."),
        )
    if facts.dead_letters > LETTERS_MANY:
        yield Alert(
            False,
            t("{count} items that were rejected wait for another try.", count=f"{facts.dead_letters:,}"),
            t("The page Dead letters has the reasons; mend the sender, then try them again."),
        )
    if facts.log_latest_at is None:
        yield Alert(
            False,
            t("No exposure has arrived yet, so there is nothing to learn from."),
            t("Let the app report what it shows with POST /exposures, or import a log."),
        )
    elif facts.now - facts.log_latest_at > LOG_SILENT:
        yield Alert(
            False,
            t("No exposure has arrived for {count} hours.", count=int(LOG_SILENT.total_seconds() // 3600)),
            t("See whether the app still reports what it shows."),
        )
    if facts.new_exposures is not None and facts.new_exposures > LATE_INTERVALS * facts.enough_exposures:
        yield Alert(
            False,
            t("{count} new exposures have not been learnt from.", count=f"{facts.new_exposures:,}"),
            t("See whether `tuwen trainer` runs."),
        )


def _of_load(facts: Facts, t: Translate) -> Iterator[Alert]:
    if facts.requests >= REQUESTS_ENOUGH and facts.degraded > DEGRADED_SHARE * facts.requests:
        yield Alert(
            True,
            t(
                "{percent} % of the answers went without something.",
                percent=f"{100 * facts.degraded / facts.requests:.1f}",
            ),
            t("The metric tuwen_recommend_degraded_total says what: cache, history or peers."),
        )
    if facts.shed:
        yield Alert(
            False,
            t("{count} requests were refused since the start because all places were taken.", count=f"{facts.shed:,}"),
            t("Add cores or another API process."),
        )
