"""`/users/{user_id}`: what is known of a person, and the erasure of all of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from app.api.answers import MergeAnswer, UserAnswer
from app.api.audited import note, written_already
from app.api.guarded import GuardedRoute, lane
from app.api.json_bodies import json_answer
from app.api.keys import ADMIN, CLIENT, Caller
from app.api.problems import current_request_id
from app.api.record_answers import ErasureAnswer, PersonAnswer
from app.api.schemas import MergeBody, PathId, UserBody
from app.api.state import WRITING_LANE, State
from app.errors import BadInput, Erased
from app.intake.status import ERASED
from app.intake.users import UserRecord, erase_user, merge_users, save_users
from app.storage.person import person_document

router = APIRouter(route_class=GuardedRoute, tags=["users"])
AdminCaller = Annotated[Caller, Depends(ADMIN.dependency)]


@router.put("/users/{user_id:path}", dependencies=[CLIENT], response_model=UserAnswer, openapi_extra=lane(WRITING_LANE))
async def put_user(user_id: PathId, body: UserBody, state: State) -> Response:
    """Say what is known of a user; it replaces what was said before, and finds people with matching attributes.

    With `"personalised": false` the user's lists are made of popular and fresh posts alone, from the next request on.
    It answers 503 when the cache could not be told; repeat it then.
    """
    if body.attributes is None and body.personalised is None:
        raise BadInput("say something of the user: attributes, or personalised")
    if body.user_id is not None and body.user_id != user_id:
        raise BadInput("user_id: is another one than in the path; leave it out")
    record = UserRecord(user_id=user_id, attributes=body.attributes, personalised=body.personalised)
    statuses = await save_users(state.stores, [record])
    state.metrics.count_items("user", (one.status for one in statuses))
    if statuses[0].reason == ERASED:
        raise Erased(ERASED)
    content = {"user_id": user_id, "status": statuses[0].status}
    return json_answer(content)


@router.post(
    "/users/{user_id:path}/merge", dependencies=[CLIENT], response_model=MergeAnswer, openapi_extra=lane(WRITING_LANE)
)
async def merge_user(user_id: PathId, body: MergeBody, state: State) -> Response:
    """Let what an anonymous user was shown and did be that of the account to which he has signed in, at once.

    The anonymous id is empty then. Attributes of the account go before his. Safe to repeat, and to be repeated when it
    answers 503.
    """
    if body.anonymous_id == user_id:
        raise BadInput("anonymous_id: is the user himself")
    moved = await merge_users(state.stores, user_id, former_id=body.anonymous_id)
    if moved is None:
        raise Erased(ERASED)
    return json_answer({"user_id": user_id, "moved": moved})


@router.delete(
    "/users/{user_id:path}", dependencies=[ADMIN], response_model=ErasureAnswer, openapi_extra=lane(WRITING_LANE)
)
async def delete_user(user_id: PathId, request: Request, caller: AdminCaller, state: State) -> Response:
    """Erase the person everywhere: attributes, showings, behaviours, peers, rejected items, cached copies.

    Posts of which the person was the author stay, without an author.

    Events that arrive later are rejected: an erased id does not come back. Safe to repeat; the receipt stays the same.
    """
    written_already(request)
    erased = await erase_user(state.stores, user_id, actor=caller.key_id, request_id=current_request_id.get())
    await state.show_changes()
    return json_answer({**asdict(erased.receipt), "deleted": erased.deleted})


@router.get("/users/{user_id:path}/export", dependencies=[ADMIN], response_model=PersonAnswer)
async def export_user(user_id: PathId, request: Request, state: State) -> Response:
    """Everything that is kept of one person, as of one moment: for the person who asks for it.

    Rejected items are whole and may name other people: look through `dead_letters` before you hand them over.
    """
    note(request, subject=state.stores.erased.subject_of(user_id))
    pieces = person_document(state.stores.database, user_id)
    first = await anext(pieces)  # what goes wrong by now is still a problem with a status

    async def document() -> AsyncIterator[bytes]:
        async with aclosing(pieces):
            yield first
            async for piece in pieces:
                yield piece

    return StreamingResponse(document(), media_type="application/json")
