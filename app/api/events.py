"""`/exposures`, `/behaviours`: what was shown and what people did -> the log. Acknowledged means committed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import partial

import orjson
from fastapi import APIRouter
from starlette.responses import Response

from app.api.answers import BatchAnswer
from app.api.guarded import GuardedRoute, lane
from app.api.keys import CLIENT
from app.api.schemas import BehaviourBatch, ExposureBatch
from app.api.state import WRITING_LANE, State
from app.intake.event_records import BehaviourRecord, ExposureRecord
from app.intake.events import save_behaviours, save_exposures
from app.intake.status import ACCEPTED, DUPLICATE, REJECTED, ItemStatus, save_items
from app.metrics import Metrics

router = APIRouter(route_class=GuardedRoute, tags=["events"])


@router.post("/exposures", dependencies=[CLIENT], response_model=BatchAnswer, openapi_extra=lane(WRITING_LANE))
async def post_exposures(batch: ExposureBatch, state: State) -> Response:
    """Say what was shown, with whatever behaviours are known by now.

    `user_id`, `post_id` and `shown_at` are required. With ids chosen by the client, sending a batch again is harmless:
    what is known already is a `duplicate`. A bad item is `rejected` with its reason and takes no other with it.
    """
    statuses = await save_items(batch.exposures, ExposureRecord, partial(save_exposures, state.stores))
    return batch_answer(statuses, "exposure", state.metrics)


@router.post("/behaviours", dependencies=[CLIENT], response_model=BatchAnswer, openapi_extra=lane(WRITING_LANE))
async def post_behaviours(batch: BehaviourBatch, state: State) -> Response:
    """Say what people did, as it happens.

    Name the `exposure_id` that it answers, or `user_id` and `post_id`; without `at` it has happened now.
    """
    statuses = await save_items(batch.behaviours, BehaviourRecord, partial(save_behaviours, state.stores))
    return batch_answer(statuses, "behaviour", state.metrics)


def batch_answer(statuses: Sequence[ItemStatus], kind: str, metrics: Metrics) -> Response:
    """What became of a batch, counted and item by item."""
    metrics.count_items(kind, (one.status for one in statuses))
    counts = Counter(one.status for one in statuses)
    content: dict[str, object] = {status: counts[status] for status in (ACCEPTED, DUPLICATE, REJECTED)}
    content["items"] = statuses
    return Response(orjson.dumps(content), media_type="application/json")
