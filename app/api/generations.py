"""`/generations`: which model and index there are, which of them serves, and going back or forward."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from app.api.answers import GenerationsAnswer, PromotedAnswer
from app.api.audited import note
from app.api.guarded import GuardedRoute
from app.api.json_bodies import json_answer
from app.api.keys import OPS
from app.api.schemas import PathId
from app.api.state import State
from app.candidates.listing import list_generations
from app.errors import UnknownId

router = APIRouter(route_class=GuardedRoute, tags=["operations"])


@router.get("/generations", dependencies=[OPS], response_model=GenerationsAnswer)
async def get_generations(state: State) -> Response:
    """All generations, latest first; `rejected` says why the quality gate did not let one serve by itself."""
    found = await asyncio.to_thread(list_generations, state.generations)
    content = {"serving": next((one.generation for one in found if one.serving), None), "generations": found}
    return json_answer(content)


@router.post("/generations/{generation}/promote", dependencies=[OPS], response_model=PromotedAnswer)
async def promote_generation(generation: PathId, request: Request, state: State) -> Response:
    """Let a generation serve, model and index together, an earlier or a rejected one too; 409 for a damaged one."""
    if generation not in await asyncio.to_thread(state.generations.ids):
        raise UnknownId("there is no such generation; GET /generations lists them")
    before = state.generations.current()
    await state.candidates.promote(generation)
    note(request, before={"serving": before}, after={"serving": generation})
    return json_answer({"serving": generation, "before": before})
