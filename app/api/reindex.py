"""`/reindex`: encode all candidates anew, build the index, check it, swap; as a job that anyone may follow."""

from __future__ import annotations

from typing import Annotated

import orjson
from fastapi import APIRouter, Depends
from starlette.responses import Response

from app.api.answers import JobAnswer
from app.api.guarded import GuardedRoute
from app.api.keys import OPS, Caller
from app.api.schemas import PathId
from app.api.state import State
from app.storage.jobs import Job, get_job

router = APIRouter(route_class=GuardedRoute, tags=["operations"])
OpsCaller = Annotated[Caller, Depends(OPS.dependency)]


@router.post("/reindex", dependencies=[OPS], response_model=JobAnswer, status_code=202)
async def post_reindex(caller: OpsCaller, state: State) -> Response:
    """Start a reindex; `Location` says where to follow it. While one is under way the answer is 409 with that job."""
    job = await state.children.start(requested_by=caller.key_id)
    return _answer(job, 202, {"Location": f"/reindex/{job.job_id}"})


@router.get("/reindex/{job_id}", dependencies=[OPS], response_model=JobAnswer)
async def get_reindex(job_id: PathId, state: State) -> Response:
    """How far a job is, or how it ended."""
    return _answer(await get_job(state.stores.database, job_id), 200, {})


def _answer(job: Job, status: int, headers: dict[str, str]) -> Response:
    return Response(orjson.dumps(job), status, headers, "application/json")
