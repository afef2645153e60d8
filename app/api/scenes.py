"""`/scenes`: what the pages of each place in the app are made with, changed while the service runs."""

from __future__ import annotations

from dataclasses import asdict

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from app.api.audited import note
from app.api.guarded import GuardedRoute
from app.api.json_bodies import json_answer
from app.api.keys import OPS
from app.api.recommend_bodies import OrderBody
from app.api.scene_answers import SceneAnswer, ScenesAnswer
from app.api.scene_bodies import PathScene
from app.api.state import State
from app.errors import UnknownId
from app.storage.scenes import delete_scene, list_scenes, put_scene

NO_SUCH_SCENE = "this scene has no parameters; PUT /scenes/{scene} gives it some"

router = APIRouter(route_class=GuardedRoute, tags=["scenes"])


@router.get("/scenes", dependencies=[OPS], response_model=ScenesAnswer)
async def get_scenes(state: State) -> Response:
    """All scenes that have parameters."""
    found = await list_scenes(state.stores.database)
    return json_answer({"scenes": [asdict(one) for one in found]})


@router.get("/scenes/{scene:path}", dependencies=[OPS], response_model=SceneAnswer)
async def get_scene(scene: PathScene, state: State) -> Response:
    """The parameters of one scene."""
    found = {one.scene: one for one in await list_scenes(state.stores.database)}
    if scene not in found:
        raise UnknownId(NO_SUCH_SCENE)
    return json_answer(asdict(found[scene]))


@router.put("/scenes/{scene:path}", dependencies=[OPS], response_model=SceneAnswer)
async def put_scene_parameters(scene: PathScene, body: OrderBody, request: Request, state: State) -> Response:
    """Give a scene its parameters; they replace those before, and count everywhere within two seconds."""
    before = {one.scene: one.parameters for one in await list_scenes(state.stores.database)}
    stored = await put_scene(state.stores.database, scene, body.parameters())
    note(request, before=before.get(scene), after=stored.parameters)
    await state.scenes.read()
    return json_answer(asdict(stored))


@router.delete("/scenes/{scene:path}", dependencies=[OPS], status_code=204, response_class=Response)
async def delete_scene_parameters(scene: PathScene, state: State) -> Response:
    """Let the scene be as any other; also when it was so already."""
    await delete_scene(state.stores.database, scene)
    await state.scenes.read()
    return Response(status_code=204)
