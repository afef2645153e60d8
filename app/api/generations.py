"""`/generations`: which model and index there are, which of them serves, and going back or forward."""

from __future__ import annotations

import asyncio

import orjson
from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from app.api.answers import GenerationsAnswer, PromotedAnswer
from app.api.audited import note
from app.api.guarded import GuardedRoute
from app.api.keys import OPS
from app.api.schemas import PathId
from app.api.state import ApiState, State
from app.candidates.generation import GenerationFolder
from app.errors import BadArtefact, UnknownId

router = APIRouter(route_class=GuardedRoute, tags=["operations"])


@router.get("/generations", dependencies=[OPS], response_model=GenerationsAnswer)
async def get_generations(state: State) -> Response:
    """All generations, latest first."""
    content = await asyncio.to_thread(_listed, state.generations)
    return Response(orjson.dumps(content), media_type="application/json")


@router.post("/generations/{generation}/promote", dependencies=[OPS], response_model=PromotedAnswer)
async def promote_generation(generation: PathId, request: Request, state: State) -> Response:
    """Let a generation serve, model and index together, an earlier one too. A damaged one is refused with 409."""
    if generation not in await asyncio.to_thread(state.generations.ids):
        raise UnknownId("there is no such generation; GET /generations lists them")
    before = state.generations.current()
    note(request, before={"serving": before}, after={"serving": generation})
    await asyncio.to_thread(state.generations.promote, generation)
    await state.show_changes()
    await _require_serving(state, generation, before)
    return Response(orjson.dumps({"serving": generation, "before": before}), media_type="application/json")


async def _require_serving(state: ApiState, generation: str, before: str | None) -> None:
    """Its files are whole; if this program cannot use them all the same, go back. Raises BadArtefact."""
    serving = state.candidates.generation
    if serving is not None and serving.manifest.generation == generation:
        return
    if before is not None:
        await asyncio.to_thread(state.generations.promote, before)
    raise BadArtefact("the generation is whole, but cannot be loaded here; the one before serves on")


def _listed(folder: GenerationFolder) -> dict[str, object]:
    serving = folder.current()
    found = [_one(folder, one, serving) for one in folder.ids()]
    found.sort(key=lambda one: str(one["created_at"] or one["generation"]), reverse=True)
    return {"serving": serving, "generations": found}


def _one(folder: GenerationFolder, generation: str, serving: str | None) -> dict[str, object]:
    """What a generation says of itself, as far as it can be read."""
    try:
        manifest = folder.manifest(generation)
    except BadArtefact:
        manifest = None
    names = ("created_at", "origin", "parent", "posts")
    return {
        "generation": generation,
        "serving": generation == serving,
        **{name: getattr(manifest, name, None) for name in names},
        "damaged": manifest is None,
    }
