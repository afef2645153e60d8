"""`/posts`: the catalogue. What is hidden or deleted here is recommended no more from the next request on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Annotated

from fastapi import APIRouter, Depends
from fastapi.exceptions import RequestValidationError
from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from app.api.answers import BatchAnswer, PostAnswer
from app.api.audited import note
from app.api.events import batch_answer
from app.api.guarded import GuardedRoute, lane
from app.api.json_bodies import json_answer
from app.api.keys import CLIENT, OPS, Caller
from app.api.pictures import picture_url
from app.api.schemas import PathId, PostBatch, PostPatch
from app.api.state import READING_LANE, WRITING_LANE, ApiState, State
from app.domain import Post
from app.errors import UnknownId
from app.intake.batches import take_in
from app.intake.posts import PostRecord, change_post, delete_post, set_hidden, set_pinned
from app.intake.status import ACCEPTED
from app.storage.posts import posts_by_id

NO_SUCH_POST = "no such post: it was never sent, or it was deleted"

router = APIRouter(route_class=GuardedRoute, tags=["posts"])
OpsCaller = Annotated[Caller, Depends(OPS.dependency)]


@router.post("/posts", dependencies=[OPS], response_model=BatchAnswer, openapi_extra=lane(WRITING_LANE))
async def post_posts(batch: PostBatch, request: Request, caller: OpsCaller, state: State) -> Response:
    """Add posts, or replace those of the same ids; a post sent again after its deletion is alive again.

    `post_id` and `title` are required. Pictures follow one by one with `PUT /posts/{post_id}/picture`.
    """
    statuses = await take_in(state.stores, "post", batch.posts, source=caller.key_id)
    changed = [one.id for one in statuses if one.status == ACCEPTED]
    note(request, subject=f"{len(changed)} posts", after={"post_ids": changed})
    return batch_answer(statuses, "post", state.metrics)


# The converter takes slashes, which ids may contain; so `/picture` and `/similar` have to come before this path.
@router.get("/posts/{post_id:path}", dependencies=[CLIENT], response_model=PostAnswer, openapi_extra=lane(READING_LANE))
async def get_post(post_id: PathId, state: State) -> Response:
    """A post as it stands, hidden ones included."""
    return _answer(await _found(state, post_id))


@router.patch("/posts/{post_id:path}", dependencies=[OPS], response_model=PostAnswer, openapi_extra=lane(WRITING_LANE))
async def patch_post(post_id: PathId, patch: PostPatch, request: Request, state: State) -> Response:
    """Hide or pin a post, show it again or unpin it, or change some of its fields; null empties a field."""
    post = await _found(state, post_id)
    changes = patch.model_dump(exclude_unset=True)
    before = {**asdict(post), "pinned": post.pinned_at is not None}
    note(request, before=_noted(state, {name: before[name] for name in changes}), after=_noted(state, changes))
    hidden, pinned = changes.pop("hidden", None), changes.pop("pinned", None)
    if changes:
        await change_post(state.stores, post_id, lambda post: _patched(post, changes))
    if hidden is not None:
        await set_hidden(state.stores, post_id, hidden=hidden)
    if pinned is not None:
        await set_pinned(state.stores, post_id, pinned=pinned)
    await state.show_changes()
    return _answer(await _found(state, post_id))


@router.delete("/posts/{post_id:path}", dependencies=[OPS], status_code=204, openapi_extra=lane(WRITING_LANE))
async def remove_post(post_id: PathId, state: State) -> Response:
    """Delete a post; its showings stay in the log. Deleting it again, or one that never was, changes nothing."""
    if await delete_post(state.stores, post_id):
        await state.show_changes()
    return Response(status_code=204)


async def _found(state: ApiState, post_id: str) -> Post:
    posts = await posts_by_id(state.stores.database, [post_id])
    if post_id not in posts:
        raise UnknownId(NO_SUCH_POST)
    return posts[post_id]


def _patched(post: Post, changes: dict[str, object]) -> PostRecord:
    """The post with the changes in it. Raises RequestValidationError when they do not fit the rest."""
    values = {name: getattr(post, name) for name in PostRecord.model_fields}
    values["tags"] = list(post.tags)
    emptied = {name: PostRecord.model_fields[name].default for name, value in changes.items() if value is None}
    try:
        return PostRecord.model_validate(values | changes | emptied)
    except ValidationError as error:
        errors = error.errors(include_input=False, include_context=False)
        raise RequestValidationError([{**one, "loc": ("body", *one["loc"])} for one in errors]) from None


def _noted(state: ApiState, values: Mapping[str, object]) -> dict[str, object]:
    """The values as the audit may keep them: of a person only the keyed hash."""
    author_id = values.get("author_id")
    if not isinstance(author_id, str):
        return dict(values)
    return {**values, "author_id": state.stores.erased.subject_of(author_id)}


def _answer(post: Post) -> Response:
    content = {name: getattr(post, name) for name in PostAnswer.model_fields if name != "picture_url"}
    content["picture_url"] = picture_url(post.post_id, has_picture=post.picture_hash is not None)
    return json_answer(content)
