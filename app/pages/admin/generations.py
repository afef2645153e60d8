"""`/admin/generations`: what has served and what serves, two of them side by side, promoting, and reindexing."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache

from starlette.requests import Request
from starlette.responses import Response

from app.candidates.fresh import Overlay
from app.candidates.generation import RESTS, GenerationFolder, Manifest
from app.candidates.view import CandidateView
from app.errors import BadArtefact, Conflict, TuwenError, UnknownId
from app.pages.admin.door import inside
from app.pages.admin.dry_run import dry_run
from app.pages.admin.frame import PATH, THUMBNAILS, Frame, frame_of
from app.pages.admin.preview import preview_of
from app.pages.cards import Card, cards_of
from app.pages.forms import form_fields, usable_id
from app.pages.rendering import go_to
from app.pages.words import words_of
from app.recommend.recommend import recommend
from app.storage.browse import active_users, find_users

SIDE_BY_SIDE = 10
USERS_COMPARED = 3
RECALL = "recall@10"


@dataclass(frozen=True, slots=True)
class GenerationRow:
    """A generation in the list."""

    generation: str
    manifest: Manifest | None  # None for a damaged one
    made_at: datetime | None
    is_serving: bool
    recall: float | None
    recall_error: float | None
    samples: int | None
    rejected: str | None  # why the gate did not let it serve by itself


@dataclass(frozen=True, slots=True)
class Side:
    """One user's page by one generation."""

    generation: str
    cards: list[Card]


@inside.get("/generations")
async def generations(request: Request) -> Response:
    """The list, latest first."""
    return await _listed(frame_of(request), "")


@inside.post("/generations/promote")
async def promote(request: Request) -> Response:
    """Let a generation serve, an earlier one too."""
    frame = frame_of(request)
    generation = usable_id((await form_fields(request)).get("generation", ""))
    before = frame.parts.generations.current()
    try:
        await frame.parts.candidates.promote(generation)
    except (UnknownId, BadArtefact) as problem:
        return await _listed(frame, problem.message, status=409)
    await frame.note("promote", generation, before={"serving": before}, after={"serving": generation})
    return go_to(f"{PATH}/generations")


@inside.post("/generations/reindex")
async def reindex(request: Request) -> Response:
    """Start a reindex; the page of jobs shows how far it is."""
    frame = frame_of(request)
    try:
        job = await frame.parts.start_reindex(requested_by=frame.key_id)
    except Conflict as problem:
        return await _listed(frame, problem.message, status=409)
    await frame.note("reindex", job.job_id)
    return go_to(f"{PATH}/jobs")


@inside.get("/generations/dry-run")
async def try_reindex(request: Request) -> Response:
    """What a reindex would do, without doing it."""
    frame = frame_of(request)
    values = {"run": await dry_run(frame.parts, frame.now)}
    return frame.page("dry_run.html", values, room="generations", title=frame.t("Dry run of a reindex"))


@inside.get("/generations/compare")
async def compare(request: Request) -> Response:
    """Two generations on the same users."""
    frame = frame_of(request)
    query = request.query_params
    folder = frame.parts.generations
    ids = await asyncio.to_thread(folder.ids)
    chosen = [one if one in ids else None for one in (query.get("left"), query.get("right"))]
    left, right = chosen[0] or (ids[-2] if len(ids) > 1 else None), chosen[1] or folder.current()
    names = [one for one in map(usable_id, query.get("users", "").replace("，", ",").split(",")) if one]
    users = names[:USERS_COMPARED] or await _some_users(frame)
    problem, rows = "", []
    try:
        views = [await _view_of(frame, one) for one in (left, right) if one]
        rows = [(user_id, [await _side(frame, view, user_id) for view in views]) for user_id in users]
    except TuwenError as error:
        problem = error.message
    values = {"ids": ids[::-1], "left": left, "right": right, "users": users, "rows": rows, "problem": problem}
    return frame.page(
        "compare.html", {**values, "overlap": _overlap}, room="generations", title=frame.t("Side by side")
    )


async def _some_users(frame: Frame) -> list[str]:
    database = frame.parts.stores.database
    found = await active_users(database, limit=USERS_COMPARED) or await find_users(database, "", limit=USERS_COMPARED)
    return [user.user_id for user in found]


async def _view_of(frame: Frame, generation: str) -> CandidateView:
    """The serving view, or another generation as it was made. Raises BadArtefact, UnknownId."""
    serving = frame.parts.candidates.generation
    if serving is not None and serving.manifest.generation == generation:
        return frame.parts.candidates.view()
    overlay = await asyncio.to_thread(_overlay, frame.parts.generations, generation)
    return overlay.view(frame.now)


@lru_cache(maxsize=1)
def _overlay(folder: GenerationFolder, generation: str) -> Overlay:
    """One generation besides the serving one stays loaded while it is looked at."""
    return Overlay(folder.load(generation, rests=RESTS))


async def _side(frame: Frame, view: CandidateView, user_id: str) -> Side:
    request = await preview_of(frame.parts, user_id, k=SIDE_BY_SIDE)
    found = await recommend(frame.parts.stores, view, request, moment=frame.now)
    cards = await cards_of(frame.parts.stores, found, words=words_of(frame.language), pictures=THUMBNAILS)
    return Side(view.generation, cards)


def _overlap(sides: list[Side]) -> int:
    """How many posts both sides have."""
    return len(set.intersection(*({card.post_id for card in side.cards} for side in sides)))


async def _listed(frame: Frame, problem: str, *, status: int = 200) -> Response:
    rows = await asyncio.to_thread(_rows, frame.parts.generations)
    values = {"rows": rows, "problem": problem}
    return frame.page("generations.html", values, room="generations", title=frame.t("Generations"), status=status)


def _rows(folder: GenerationFolder) -> list[GenerationRow]:
    serving = folder.current()
    rows = [_row(folder, one, serving) for one in folder.ids()]
    return sorted(rows, key=lambda row: row.made_at.timestamp() if row.made_at else 0, reverse=True)


def _row(folder: GenerationFolder, generation: str, serving: str | None) -> GenerationRow:
    """What a generation says of itself, as far as it can be read."""
    try:
        manifest, report = folder.manifest(generation), folder.report(generation)
    except (BadArtefact, UnknownId):
        return GenerationRow(generation, None, None, generation == serving, None, None, None, None)
    recall = report.get("evaluation", {}).get("matching", {}).get(RECALL, {})
    return GenerationRow(
        generation=generation,
        manifest=manifest,
        made_at=datetime.fromisoformat(manifest.created_at),
        is_serving=generation == serving,
        recall=recall.get("trained"),
        recall_error=recall.get("standard_error"),
        samples=report.get("log", {}).get("samples"),
        rejected=manifest.rejected,
    )
