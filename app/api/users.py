"""`/users/{user_id}`: what is known of a person, and the erasure of all of it."""

from __future__ import annotations

import orjson
from fastapi import APIRouter
from starlette.responses import Response

from app.api.answers import ErasureAnswer, UserAnswer
from app.api.guarded import GuardedRoute, lane
from app.api.keys import ADMIN, CLIENT
from app.api.schemas import PathId, UserBody
from app.api.state import WRITING_LANE, State
from app.errors import BadInput
from app.intake.users import UserRecord, erase_user, save_users

router = APIRouter(route_class=GuardedRoute, tags=["users"])


@router.put("/users/{user_id:path}", dependencies=[CLIENT], response_model=UserAnswer, openapi_extra=lane(WRITING_LANE))
async def put_user(user_id: PathId, body: UserBody, state: State) -> Response:
    """Say what is known of a user; it replaces what was said before, and finds people with matching attributes."""
    if body.user_id is not None and body.user_id != user_id:
        raise BadInput("user_id: is another one than in the path; leave it out")
    statuses = await save_users(state.stores, [UserRecord(user_id=user_id, attributes=body.attributes)])
    state.metrics.count_items("user", (one.status for one in statuses))
    content = {"user_id": user_id, "status": statuses[0].status}
    return Response(orjson.dumps(content), media_type="application/json")


@router.delete(
    "/users/{user_id:path}", dependencies=[ADMIN], response_model=ErasureAnswer, openapi_extra=lane(WRITING_LANE)
)
async def delete_user(user_id: PathId, state: State) -> Response:
    """Erase the person everywhere: attributes, showings, behaviours, peers, cached copies. Safe to repeat."""
    deleted = await erase_user(state.stores, user_id)
    return Response(orjson.dumps({"deleted": deleted}), media_type="application/json")
