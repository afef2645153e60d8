"""`/exposures`, `/behaviours`: what was shown and what people did -> the log. Acknowledged means committed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Annotated

from fastapi import APIRouter, Depends
from starlette.responses import Response

from app.api.answers import BatchAnswer
from app.api.guarded import GuardedRoute, lane
from app.api.json_bodies import json_answer
from app.api.keys import CLIENT, Caller
from app.api.schemas import BehaviourBatch, ExposureBatch
from app.api.state import WRITING_LANE, State
from app.intake.batches import take_in
from app.intake.status import ACCEPTED, DUPLICATE, REJECTED, ItemStatus
from app.metrics import Metrics

router = APIRouter(route_class=GuardedRoute, tags=["events"])
ClientCaller = Annotated[Caller, Depends(CLIENT.dependency)]


@router.post("/exposures", dependencies=[CLIENT], response_model=BatchAnswer, openapi_extra=lane(WRITING_LANE))
async def post_exposures(batch: ExposureBatch, caller: ClientCaller, state: State) -> Response:
    """Say what was shown, with whatever behaviours are known by now.

    `user_id`, `post_id` and `shown_at` are required. With ids chosen by the client, sending a batch again is harmless:
    what is known already is a `duplicate`. A bad item is `rejected` with its reason, takes no other with it,
    and is kept as a dead letter.
    """
    statuses = await take_in(state.stores, "exposure", batch.exposures, source=caller.key_id)
    return batch_answer(statuses, "exposure", state.metrics)


@router.post("/behaviours", dependencies=[CLIENT], response_model=BatchAnswer, openapi_extra=lane(WRITING_LANE))
async def post_behaviours(batch: BehaviourBatch, caller: ClientCaller, state: State) -> Response:
    """Say what people did, as it happens.

    Name the `exposure_id` that it answers, or `user_id` and `post_id`; without `at` it has happened now.
    """
    statuses = await take_in(state.stores, "behaviour", batch.behaviours, source=caller.key_id)
    return batch_answer(statuses, "behaviour", state.metrics)


def batch_answer(statuses: Sequence[ItemStatus], kind: str, metrics: Metrics) -> Response:
    """What became of a batch, counted and item by item."""
    metrics.count_items(kind, (one.status for one in statuses))
    counts = Counter(one.status for one in statuses)
    content: dict[str, object] = {status: counts[status] for status in (ACCEPTED, DUPLICATE, REJECTED)}
    content["items"] = statuses
    return json_answer(content)
