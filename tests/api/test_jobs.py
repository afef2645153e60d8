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
    life_of_job,
    report_progress,
    start_job,
)
from app.storage.postgres import transaction
from app.storage.stores import Stores

pytestmark = pytest.mark.anyio


async def fall_silent(stores: Stores, job_id: str, *, seconds: int = 31) -> None:
    async with transaction(stores.database) as connection:
        earlier = "heartbeat_at - make_interval(secs => :seconds)"
        statement = text(f"UPDATE jobs SET heartbeat_at = {earlier} WHERE job_id = :job_id")
        await connection.execute(statement, {"job_id": job_id, "seconds": seconds})


async def test_a_job_tells_how_far_it_is_and_what_it_made(stores: Stores) -> None:
    job = await create_job(stores.database, JobKind.REINDEX, requested_by="ops")
    await start_job(stores.database, job.job_id)

    async with life_of_job(stores.database, job.job_id) as life:
        await report_progress(life, job.job_id, step="encoding", done=3, total=9)
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


async def test_a_job_whose_process_is_gone_makes_way_soon_and_one_whose_process_lives_does_not(stores: Stores) -> None:
    lives = await create_job(stores.database, JobKind.TRAIN, requested_by="trainer")
    await start_job(stores.database, lives.job_id)

    async with life_of_job(stores.database, lives.job_id):
        await fall_silent(stores, lives.job_id, seconds=6)
        with pytest.raises(Conflict):
            await create_job(stores.database, JobKind.TRAIN, requested_by="trainer")

    async with asyncio.timeout(20):
        while (await get_job(stores.database, lives.job_id)).state is not JobState.FAILED:
            await asyncio.sleep(0.05)
    await create_job(stores.database, JobKind.TRAIN, requested_by="trainer")


async def test_an_ended_job_does_not_fail_afterwards(stores: Stores) -> None:
    job = await create_job(stores.database, JobKind.REINDEX, requested_by="ops")
    await finish_job(stores.database, job.job_id, generation="g1")

    assert not await fail_job(stores.database, job.job_id, error="late")

    assert [one.state for one in await latest_jobs(stores.database)] == [JobState.DONE]


async def test_an_unknown_job_is_named_so(stores: Stores) -> None:
    with pytest.raises(UnknownId, match="no job"):
        await get_job(stores.database, "reindex-none")
