from __future__ import annotations

import asyncio

import pytest
from sqlalchemy import text

from app.errors import Conflict, UnknownId
from app.storage.jobs import (
    JobKind,
    JobState,
    create_job,
    fail_job,
    finish_job,
    get_job,
    latest_jobs,
    report_progress,
    start_job,
)
from app.storage.postgres import transaction
from app.storage.stores import Stores

pytestmark = pytest.mark.anyio


async def fall_silent(stores: Stores, job_id: str) -> None:
    async with transaction(stores.database) as connection:
        statement = text("UPDATE jobs SET heartbeat_at = heartbeat_at - interval '31 s' WHERE job_id = :job_id")
        await connection.execute(statement, {"job_id": job_id})


async def test_a_job_tells_how_far_it_is_and_what_it_made(stores: Stores) -> None:
    job = await create_job(stores.database, JobKind.REINDEX, requested_by="ops")
    await start_job(stores.database, job.job_id)

    await report_progress(stores.database, job.job_id, step="encoding", done=3, total=9)
    halfway = await get_job(stores.database, job.job_id)
    await finish_job(stores.database, job.job_id, generation="g1")

    assert (halfway.state, halfway.step, halfway.done, halfway.total) == (JobState.RUNNING, "encoding", 3, 9)
    done = await get_job(stores.database, job.job_id)
    assert (done.state, done.generation, done.error) == (JobState.DONE, "g1", None)


async def test_a_second_job_of_a_kind_meets_the_running_one(stores: Stores) -> None:
    job = await create_job(stores.database, JobKind.REINDEX, requested_by="ops")

    with pytest.raises(Conflict) as conflict:
        await create_job(stores.database, JobKind.REINDEX, requested_by="trainer")

    assert conflict.value.facts["job"].job_id == job.job_id  # type: ignore[attr-defined]
    await create_job(stores.database, JobKind.TRAIN, requested_by="trainer")


async def test_of_many_at_once_one_job_is_made(stores: Stores) -> None:
    asked = [create_job(stores.database, JobKind.REINDEX, requested_by=str(number)) for number in range(6)]

    answers = await asyncio.gather(*asked, return_exceptions=True)

    assert sorted(isinstance(answer, Conflict) for answer in answers) == [False] + 5 * [True]


async def test_a_silent_job_counts_as_failed_and_makes_way(stores: Stores) -> None:
    silent = await create_job(stores.database, JobKind.REINDEX, requested_by="ops")
    await fall_silent(stores, silent.job_id)

    await create_job(stores.database, JobKind.REINDEX, requested_by="ops")

    found = await get_job(stores.database, silent.job_id)
    assert found.state is JobState.FAILED
    assert "start it again" in str(found.error)


async def test_an_ended_job_does_not_fail_afterwards(stores: Stores) -> None:
    job = await create_job(stores.database, JobKind.REINDEX, requested_by="ops")
    await finish_job(stores.database, job.job_id, generation="g1")

    assert not await fail_job(stores.database, job.job_id, error="late")

    assert [one.state for one in await latest_jobs(stores.database)] == [JobState.DONE]


async def test_an_unknown_job_is_named_so(stores: Stores) -> None:
    with pytest.raises(UnknownId, match="no job"):
        await get_job(stores.database, "reindex-none")
