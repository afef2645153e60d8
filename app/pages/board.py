"""A running service -> what the admin page shows of it, and of one user."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from app.candidates.generation import CURVES, GenerationFolder
from app.candidates.listing import list_generations
from app.errors import BadArtefact, Unavailable, UnknownId
from app.pages.cards import cards_of
from app.pages.parts import PageParts, is_trained
from app.pages.strips import ago, strip_of
from app.pages.words import words_of
from app.recommend.recommend import recommend
from app.recommend.request import RecommendRequest
from app.storage.jobs import Job, latest_jobs
from app.storage.overview import attributes_of, behaviour_counts, row_counts, users_named
from app.storage.posts import posts_by_id
from app.storage.user_state import load_user_state

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
PICTURES = "/admin/pictures"
HISTORY_SHOWN = 30
RECOMMENDED = 15
JOBS_SHOWN = 12
USERS_SUGGESTED = 100
MADE_FROM = {
    "start": "the pretrained start, before any training",
    "trained": "training on the exposure log",
    "reindexed": "the network of its parent, with the candidates of that moment",
}


@dataclass(frozen=True, slots=True)
class ServingView:
    """The serving generation in words."""

    generation: str
    facts: list[tuple[str, str]]


@dataclass(frozen=True, slots=True)
class FigureTable:
    """Figures of one kind, e.g. of all behaviours."""

    title: str
    columns: list[str]
    rows: list[tuple[str, list[str]]]


@dataclass(frozen=True, slots=True)
class JobView:
    """A job in words."""

    kind: str
    state: str
    step: str
    done: str
    started: str
    finished: str
    outcome: str


async def board_values(parts: PageParts) -> dict[str, object]:
    """Generation, counts, jobs and training curve."""
    database, now = parts.stores.database, datetime.now(UTC)
    behaviours = await behaviour_counts(database, since=EPOCH)
    users = await users_named(database, "", limit=USERS_SUGGESTED)
    return {
        "language": "en",
        "now_words": f"{now:%Y-%m-%d %H:%M}",
        "problems": [],
        "counts": list((await row_counts(database)).items()),
        "behaviours": list(behaviours.items()),
        "jobs": [_job(job, now) for job in await latest_jobs(database, limit=JOBS_SHOWN)],
        "some_users": [user.user_id for user in users],
        **_generation_values(parts, now),
    }


def _generation_values(parts: PageParts, now: datetime) -> dict[str, object]:
    """What serves, its figures and its curves."""
    generation = parts.candidates.generation
    if generation is None:
        return {"serving": None, "figures": [], "curve_url": None}
    manifest = generation.manifest
    folder = GenerationFolder(parts.stores.settings.generations)
    facts = [
        ("made", f"{ago(datetime.fromisoformat(manifest.created_at), now)} ago"),
        ("made from", MADE_FROM.get(manifest.origin, manifest.origin)),
        ("parent", manifest.parent or "none"),
        ("posts", f"{manifest.posts:,}"),
        ("vector width", str(manifest.width)),
        ("waiting to be encoded", f"{parts.candidates.waiting:,}"),
        ("generations on disk", str(len(folder.ids()))),
        *(("rejected", f"{one.generation}: {one.rejected}") for one in list_generations(folder) if one.rejected),
    ]
    return {
        "serving": ServingView(manifest.generation, facts),
        "figures": _figures(folder, manifest.generation),
        "curve_url": f"/admin/generations/{manifest.generation}/report.png" if CURVES in manifest.files else None,
    }


def _figures(folder: GenerationFolder, generation: str) -> list[FigureTable]:
    """The figures of the generation's evaluation; none for one that was not trained or has gone."""
    try:
        evaluation = folder.report(generation).get("evaluation", {})
    except (OSError, BadArtefact, UnknownId):
        return []
    return [figure_table(name, part) for name, part in evaluation.items() if isinstance(part, Mapping) and part]


def figure_table(name: str, part: Mapping[str, Any]) -> FigureTable:
    """One part of an evaluation: a row per group of figures, a column per figure; single figures go into the title."""
    groups = {row: figures for row, figures in part.items() if isinstance(figures, Mapping)}
    single = [f"{key} {_number(value)}" for key, value in part.items() if key not in groups]
    columns = list(dict.fromkeys(column for figures in groups.values() for column in figures))
    rows = [(row, [_number(figures.get(column)) for column in columns]) for row, figures in groups.items()]
    return FigureTable(", ".join([name, *single]), [column.replace("_", " ") for column in columns], rows)


def _number(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.3f}"
    return "" if value is None else str(value)


def _job(job: Job, now: datetime) -> JobView:
    of_total = f" / {job.total:,}" if job.total is not None else ""
    return JobView(
        kind=job.kind,
        state=job.state,
        step=job.step,
        done=f"{job.done:,}{of_total}" if job.done or job.total else "",
        started=f"{ago(job.created_at, now)} ago",
        finished=f"after {job.seconds:.0f} s" if job.finished_at else "",
        outcome=job.error or job.generation or "",
    )


async def person_values(parts: PageParts, user_id: str) -> dict[str, object]:
    """The user's history, newest first, beside what would be recommended now; nothing is recorded as shown."""
    stores, now = parts.stores, datetime.now(UTC)
    loaded = await load_user_state(stores, user_id)
    latest = sorted(loaded.state.shown, key=lambda one: one.shown_at, reverse=True)[:HISTORY_SHOWN]
    posts = await posts_by_id(stores.database, {one.post_id for one in latest})
    attributes = await attributes_of(stores.database, user_id)
    return {
        "user_id": user_id,
        "attributes": json.dumps(attributes, ensure_ascii=False) if attributes else "",
        "history": strip_of(latest, posts, now=now, pictures=PICTURES),
        **await _recommended(parts, user_id, now),
    }


async def _recommended(parts: PageParts, user_id: str, now: datetime) -> dict[str, object]:
    try:
        view = parts.candidates.view()
    except Unavailable as problem:
        return {"cards": [], "trained": False, "shortfall": problem.message, "degraded": []}
    request = RecommendRequest(user_id=user_id, k=RECOMMENDED, scene="admin page")
    found = await recommend(parts.stores, view, request, moment=now)
    cards = await cards_of(parts.stores, found, words=words_of("en"), pictures=PICTURES)
    return {
        "cards": cards,
        "trained": is_trained(parts),
        "shortfall": found.shortfall,
        "degraded": list(found.degraded),
    }
