"""`/recommend`: a user id -> the posts to show, each with its reason. The hot path: its answers build no models."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import zip_longest
from typing import Annotated, Any

from fastapi import APIRouter, Header, Query
from starlette.responses import Response

from app.api.answers import RecommendAnswer
from app.api.guarded import GuardedRoute, lane
from app.api.json_bodies import json_answer
from app.api.keys import CLIENT
from app.api.recommend_bodies import PageBody, RecommendBody, RecommendQuery
from app.api.state import SERVING_LANE, ApiState, State
from app.errors import Unavailable
from app.intake.event_records import ExposureRecord
from app.intake.events import save_exposures
from app.recommend.arms import page_parameters
from app.recommend.recommend import recommend
from app.recommend.request import Recommendation, RecommendedPost, RecommendRequest
from app.recommend.wording import language_of
from app.storage.user_state import load_user_state

CHANGES, EXPOSURES = "changes", "exposures"  # further things that an answer may have gone without

Accepted = Annotated[str | None, Header(alias="Accept-Language", max_length=1000)]

router = APIRouter(route_class=GuardedRoute, tags=["recommend"])


@router.post("/recommend", dependencies=[CLIENT], response_model=RecommendAnswer, openapi_extra=lane(SERVING_LANE))
async def recommend_by_body(body: RecommendBody, state: State, accepted: Accepted = None) -> Response:
    """Recommend posts to a user.

    Nothing already shown to the user comes back, unless `include_seen`. A page is full, or `shortfall` says why not;
    `degraded` names what the answer had to go without while a store is down. With `cursor` the next page follows.
    """
    return await _answer(state, body, accepted)


@router.get("/recommend", dependencies=[CLIENT], response_model=RecommendAnswer, openapi_extra=lane(SERVING_LANE))
async def recommend_by_query(
    query: Annotated[RecommendQuery, Query()], state: State, accepted: Accepted = None
) -> Response:
    """The same with the simple parameters; repeat `category` and `city` for several."""
    return await _answer(state, query.to_body(), accepted)


async def _answer(state: ApiState, body: RecommendBody, accepted: str | None) -> Response:
    defaults = await page_defaults(state, body, body.user_id)
    request = body.to_request_of_user(defaults, language=language_of(body.language, accepted))
    return json_answer(await page_content(state, request))


async def page_defaults(state: ApiState, body: PageBody, user_id: str) -> Mapping[str, Any]:
    """What the scene, the user's arm and the deployment say of a page, where the request does not."""
    book = await state.scenes.current()
    return page_parameters(book, state.stores.settings, body.scene, user_id=user_id)


async def page_content(state: ApiState, request: RecommendRequest) -> dict[str, Any]:
    """A page as the client reads it, recorded as shown if the request wants that."""
    user = await load_user_state(state.stores, request.user_id)
    is_fresh = await state.freshen(user)
    moment = datetime.now(UTC)
    found = await recommend(state.stores, state.candidates.view(), request, moment=moment, user=user)
    degraded = set(found.degraded) if is_fresh else {*found.degraded, CHANGES}
    exposure_ids = await _record(state, found, request, moment) if request.record_exposures else []
    if exposure_ids is None:
        degraded.add(EXPOSURES)
    _count(state, found, degraded)
    return {
        "recommendation_id": found.recommendation_id,
        "generation": found.generation,
        "items": [_item(post, exposure_id) for post, exposure_id in zip_longest(found.posts, exposure_ids or ())],
        "cursor": found.cursor,
        "shortfall": found.shortfall,
        "degraded": sorted(degraded),
        "ignored_ids": found.ignored_ids,
        "personalised": found.personalised,
        "experiment": found.experiment,
        "arm": found.arm,
    }


def _item(post: RecommendedPost, exposure_id: str | None) -> dict[str, object]:
    return {
        "post_id": post.post_id,
        "score": post.score,
        "title": post.title,
        "picture_url": post.picture_url,
        "category": post.category,
        "probabilities": {kind.value: one for kind, one in post.probabilities.items()},
        "reason": post.reason,
        "exposure_id": exposure_id,
    }


async def _record(
    state: ApiState, found: Recommendation, request: RecommendRequest, moment: datetime
) -> list[str] | None:
    """Write the page to the log as shown and give the ids of the showings; None when that failed, or took too long."""
    exposures = found.exposures(request, shown_at=moment)
    records = [ExposureRecord(**asdict(one)) for one in exposures]
    try:
        statuses = await state.recording.alone(lambda: save_exposures(state.stores, records))
    except Unavailable:
        return None
    state.metrics.count_items("exposure", (status.status for status in statuses))
    return [one.exposure_id for one in exposures]


def _count(state: ApiState, found: Recommendation, degraded: set[str]) -> None:
    metrics = state.metrics
    for reason, count in Counter(post.reason.kind for post in found.posts).items():
        metrics.recommended.labels(reason).inc(count)
    metrics.pages.labels("yes" if degraded else "no").inc()
    for without in degraded:
        metrics.degraded.labels(without).inc()
    if found.shortfall is not None:
        metrics.shortfalls.inc()
