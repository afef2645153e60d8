"""`/dead-letters`: items that were rejected, with their reasons; to be looked at, tried again or dropped."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from app.api.audited import note
from app.api.guarded import GuardedRoute, lane
from app.api.json_bodies import json_answer
from app.api.keys import OPS
from app.api.record_answers import DeadLettersAnswer, ReplayAnswer
from app.api.schemas import LETTERS_AT_ONCE, LetterId, LetterPathId, ReplayBody
from app.api.state import WRITING_LANE, State
from app.errors import UnknownId
from app.intake.batches import Kind
from app.intake.dead_letters import replay_letters
from app.intake.status import ACCEPTED, DUPLICATE, REJECTED
from app.storage.dead_letters import NEWEST, count_letters, drop_letters, letters_by_id, letters_page, oldest_letters

router = APIRouter(route_class=GuardedRoute, tags=["records"])


@router.get("/dead-letters", dependencies=[OPS], response_model=DeadLettersAnswer)
async def get_dead_letters(
    state: State,
    kind: Kind | None = None,
    before: LetterId = NEWEST,
    limit: Annotated[int, Query(ge=1, le=LETTERS_AT_ONCE)] = 50,
) -> Response:
    """Rejected items, latest first, with what was wrong with them, whose key sent them, and how often."""
    letters = await letters_page(state.stores.database, limit=limit, before=before, kind=kind)
    content = {
        "letters": letters,
        "next_before": letters[-1].letter_id if len(letters) == limit else None,
        "kept": await count_letters(state.stores.database),
    }
    return json_answer(content)


@router.post("/dead-letters/replay", dependencies=[OPS], response_model=ReplayAnswer, openapi_extra=lane(WRITING_LANE))
async def replay_dead_letters(body: ReplayBody, request: Request, state: State) -> Response:
    """Try rejected items again: those named, or the oldest 500 beyond `after`. What is taken in is a letter no more."""
    database = state.stores.database
    if body.letter_ids is not None:
        letters = await letters_by_id(database, body.letter_ids)
    else:
        letters = await oldest_letters(database, after=body.after, limit=LETTERS_AT_ONCE)
    replayed = await replay_letters(state.stores, letters)
    counts: dict[str, object] = {status: replayed.counts[status] for status in (ACCEPTED, DUPLICATE, REJECTED)}
    note(request, subject=f"{replayed.tried} letters", after=counts)
    more = body.letter_ids is None and len(letters) == LETTERS_AT_ONCE
    content: dict[str, object] = {
        "tried": replayed.tried,
        **counts,
        "next_after": replayed.last_letter_id if more else None,
        "kept": await count_letters(database),
    }
    return json_answer(content)


@router.delete("/dead-letters/{letter_id}", dependencies=[OPS], status_code=204, openapi_extra=lane(WRITING_LANE))
async def drop_dead_letter(letter_id: LetterPathId, state: State) -> Response:
    """Give up on a rejected item."""
    if not await drop_letters(state.stores.database, [letter_id]):
        raise UnknownId("there is no such letter; GET /dead-letters lists them")
    return Response(status_code=204)
