"""`/recommend/batch`: many users -> a page for each, as a stream of lines: for pushes and mails."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Annotated

import orjson
from fastapi import APIRouter, Header
from starlette.responses import StreamingResponse

from app.api.answers import BatchLine
from app.api.guarded import GuardedRoute
from app.api.keys import OPS
from app.api.recommend import page_content, page_defaults
from app.api.recommend_bodies import BatchBody
from app.api.state import ApiState, State
from app.errors import Unavailable
from app.recommend.request import Language
from app.recommend.wording import language_of

ONE_AT_A_TIME = "another batch is being answered by this process; send this one when it is done"

router = APIRouter(route_class=GuardedRoute, tags=["recommend"])


class Lines(StreamingResponse):
    """JSON Lines as they are made."""

    media_type = "application/x-ndjson"


@router.post(
    "/recommend/batch",
    dependencies=[OPS],
    response_model=None,
    response_class=Lines,
    responses={200: {"model": BatchLine, "description": "a line for each user"}},
)
async def recommend_batch(
    body: BatchBody,
    state: State,
    accepted: Annotated[str | None, Header(alias="Accept-Language", max_length=1000)] = None,
) -> Lines:
    """A page for each of many users, one line of JSON per user, in their order and as they are made.

    Users are answered one after another, and other requests in between. A process answers one batch at a time.
    """
    state.candidates.view()  # without a generation this is a problem with a status, not a stream that breaks off
    if state.batch.locked():
        raise Unavailable(ONE_AT_A_TIME)
    lines = _lines(state, body, language_of(body.language, accepted))
    await anext(lines)  # it is this one's turn from now on, and no other's that comes before the first line is sent
    return Lines(lines)


async def _lines(state: ApiState, body: BatchBody, language: Language) -> AsyncIterator[bytes]:
    async with state.batch:
        yield b""
        for user_id in dict.fromkeys(body.user_ids):
            defaults = await page_defaults(state, body, user_id)
            content = await page_content(state, body.to_request(user_id, defaults, language=language))
            yield orjson.dumps({"user_id": user_id, **content}) + b"\n"
            await asyncio.sleep(0)
