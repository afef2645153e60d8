"""`/demo`: the feed as one of the simulated people, or as a visitor, sees it. Answers only where TUWEN_DEMO is on.

Whoever reaches the port may act as any simulated person; real users cannot be acted for.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated

from fastapi import APIRouter, Depends
from pydantic import BaseModel, Field
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from app.errors import Unavailable
from app.intake.event_records import BehaviourRecord, ExposureRecord, KindOrRejection
from app.intake.events import save_behaviours, save_exposures
from app.intake.fields import Id, Position
from app.pages.feed import SCENE, cards_values, feed_values, serving_values, strip_items
from app.pages.files import stored_picture, stored_thumbnail
from app.pages.forms import form_fields, reported, usable_number
from app.pages.live import live_values
from app.pages.looking import (
    PATH,
    keep_visitor,
    looking_of,
    new_visitor_id,
    require_actor,
    require_session,
    visitor_of,
)
from app.pages.parts import parts_of
from app.pages.rendering import go_to, notice, page
from app.pages.safety import PAGE_HEADERS, refuse_foreign_page
from app.recommend.wording import language_of

REPORTED_AT_ONCE = 200
REPORTED_BYTES = REPORTED_AT_ONCE << 10  # one has three ids at most
POSITION_DIGITS = 5
OFF = (
    "This page shows simulated people, so it is served by the demo only: run `make demo`, "
    "or set TUWEN_DEMO=1 for a service that holds no real users."
)


class SeenPost(BaseModel):
    """A post that came into sight."""

    exposure_id: Id
    post_id: Id
    position: Position
    recommendation_id: Id


class SeenBody(BaseModel):
    """Posts that came into sight of one user."""

    user_id: Id
    exposures: Annotated[list[SeenPost], Field(max_length=REPORTED_AT_ONCE)]


class ActOnPost(BaseModel):
    """A button pressed under a post."""

    exposure_id: Id
    post_id: Id
    kind: KindOrRejection


class ActBody(BaseModel):
    """What one user did."""

    user_id: Id
    behaviours: Annotated[list[ActOnPost], Field(max_length=REPORTED_AT_ONCE)]


router = APIRouter(include_in_schema=False)
fragments = APIRouter(prefix=PATH, include_in_schema=False, dependencies=[Depends(require_session)])


@router.get(PATH)
async def feed(request: Request) -> Response:
    """The whole page."""
    parts = parts_of(request)
    if not parts.stores.settings.demo:
        return notice("The demo is off", OFF, status=404)
    visitor_id = visitor_of(request) or new_visitor_id()
    looking = looking_of(request, visitor_id)
    try:
        values = await feed_values(parts, looking)
    except Unavailable as problem:
        title = looking.words["starting"] if parts.candidates.generation is None else problem.message
        return notice("Tuwen", title, status=503, look_again=True, language=looking.language)
    response = page("demo.html", values)
    keep_visitor(response, request, visitor_id)
    return response


@router.post(f"{PATH}/visitor")
async def new_visitor(request: Request) -> Response:
    """Start over as a visitor of whom nothing is known."""
    parts = parts_of(request)
    if not parts.stores.settings.demo:
        return notice("The demo is off", OFF, status=404)
    refuse_foreign_page(request)
    language = language_of((await form_fields(request)).get("lang"), request.headers.get("accept-language"))
    response = go_to(f"{PATH}?lang={language}")
    keep_visitor(response, request, new_visitor_id())
    return response


@fragments.get("/cards")
async def more_cards(request: Request) -> Response:
    """The next cards of the feed, or the first ones anew."""
    parts, looking = parts_of(request), looking_of(request)
    query = request.query_params
    first = usable_number(query.get("from", ""), digits=POSITION_DIGITS) or 0
    values = await cards_values(parts, looking, cursor=query.get("cursor"), first_position=first)
    return page("cards.html", values)


@fragments.get("/strip")
async def strip(request: Request) -> Response:
    """What the user did lately."""
    parts, looking = parts_of(request), looking_of(request)
    return page("strip.html", {"strip": await strip_items(parts, looking.user_id), "words": looking.words})


@fragments.get("/serving")
async def serving(request: Request) -> Response:
    """Which generation serves."""
    parts, looking = parts_of(request), looking_of(request)
    return JSONResponse(serving_values(parts, looking.words), headers=dict(PAGE_HEADERS))


@fragments.get("/live")
async def live(request: Request) -> Response:
    """What has come in, what is learnt from it, and what serves, as of now."""
    parts, looking = parts_of(request), looking_of(request)
    values = {"live": await live_values(parts, looking.words), "words": looking.words}
    return page("live.html", values)


@fragments.get("/pictures/{picture_hash}")
def picture(request: Request, picture_hash: str) -> Response:
    """A stored picture."""
    return stored_picture(parts_of(request).stores.pictures, picture_hash)


@fragments.get("/thumbnails/{picture_hash}")
def thumbnail(request: Request, picture_hash: str) -> Response:
    """The same, as a grid needs it."""
    return stored_thumbnail(parts_of(request).stores, picture_hash)


@fragments.post("/exposures")
async def seen(request: Request) -> Response:
    """Record what came into sight."""
    body = await reported(request, SeenBody, max_bytes=REPORTED_BYTES)
    require_actor(request, body.user_id)
    now = datetime.now(UTC)
    records = [
        ExposureRecord(user_id=body.user_id, shown_at=now, scene=SCENE, **one.model_dump()) for one in body.exposures
    ]
    await save_exposures(parts_of(request).stores, records)
    return Response(status_code=204, headers=dict(PAGE_HEADERS))


@fragments.post("/behaviours")
async def acted(request: Request) -> Response:
    """Record what was done."""
    body = await reported(request, ActBody, max_bytes=REPORTED_BYTES)
    require_actor(request, body.user_id)
    now = datetime.now(UTC)
    records = [BehaviourRecord(user_id=body.user_id, at=now, **one.model_dump()) for one in body.behaviours]
    await save_behaviours(parts_of(request).stores, records)
    return Response(status_code=204, headers=dict(PAGE_HEADERS))
