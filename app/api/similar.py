"""`/posts/{post_id}/similar`: the posts whose picture and title are most like one post's."""

from __future__ import annotations

from typing import Annotated

import numpy as np
from fastapi import APIRouter, Query
from starlette.responses import Response

from app.api.answers import SimilarAnswer
from app.api.guarded import GuardedRoute, lane
from app.api.json_bodies import json_answer
from app.api.keys import CLIENT
from app.api.pictures import picture_url
from app.api.posts import NO_SUCH_POST
from app.api.schemas import Count, PathId
from app.api.state import SERVING_LANE, State
from app.candidates.view import CandidateView
from app.errors import Unavailable, UnknownId
from app.storage.posts import posts_by_id

LOOKED_AT = 5  # times as many as wanted: the match adds quality to likeness, here likeness alone counts
NOT_ENCODED = "the post is not encoded yet: ask again in a few seconds"

router = APIRouter(route_class=GuardedRoute, tags=["posts"])


@router.get(
    "/posts/{post_id:path}/similar",
    dependencies=[CLIENT],
    response_model=SimilarAnswer,
    openapi_extra=lane(SERVING_LANE),
)
async def get_similar(post_id: PathId, state: State, k: Annotated[Count, Query()] = 10) -> Response:
    """The posts most like one post by the trained picture-and-title vectors, whoever asks."""
    view = state.candidates.view()
    if post_id not in view.row_of or not view.alive[view.row_of[post_id]]:
        if post_id not in await posts_by_id(state.stores.database, [post_id]):
            raise UnknownId(NO_SUCH_POST)
        if post_id not in view.row_of:
            raise Unavailable(NOT_ENCODED)
    content = {"post_id": post_id, "generation": view.generation, "items": _most_alike(view, post_id, count=k)}
    return json_answer(content)


def _most_alike(view: CandidateView, post_id: str, *, count: int) -> list[dict[str, object]]:
    """The nearest posts by the cosine of their vectors, nearest first."""
    row = view.row_of[post_id]
    others = view.alive.copy()
    others[row] = False
    matches = view.match(view.vectors[[row]], np.zeros(1, np.float32), others, count=LOOKED_AT * count)
    order = np.argsort(-matches.similarity, kind="stable")[:count]
    columns = view.columns
    return [
        {
            "post_id": columns.post_ids[found],
            "title": columns.titles[found],
            "picture_url": picture_url(columns.post_ids[found], has_picture=columns.picture_hashes[found] is not None),
            "category": columns.category.word(found),
            "similarity": similarity,
        }
        for found, similarity in zip(matches.rows[order].tolist(), matches.similarity[order].tolist(), strict=True)
    ]
