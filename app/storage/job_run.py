"""A piece of work in this process <-> its row in the table of jobs: progress, signs of life, and how it ended."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from sqlalchemy.ext.asyncio import AsyncEngine

from app.errors import TuwenError, Unavailable
from app.storage.jobs import JobKind, create_job, fail_job, finish_job, life_of_job, report_progress, start_job

BEAT_SECONDS = 1.0
UNEXPECTED = "an unexpected error; the log of the process that ran it says which"


class JobRun:
    """What the work tells of itself; written to the database once a second, from whichever thread it came."""

    def __init__(self, job_id: str) -> None:
        self.job_id = job_id
        self.generation: str | None = None  # what it made
        self.is_seen = asyncio.Event()  # set: others can see that this process lives
        self._standing: tuple[str, int, int | None] = ("starting", 0, None)

    def tell(self, step: str, done: int, total: int | None) -> None:
        """How far the work is."""
        self._standing = (step, done, total)

    async def keep_beating(self, database: AsyncEngine) -> None:
        """Write the standing every second until cancelled; a database that is away for a while is no reason to stop."""
        while True:
            with contextlib.suppress(Unavailable):
                async with life_of_job(database, self.job_id) as life:
                    while True:
                        step, done, total = self._standing
                        await report_progress(life, self.job_id, step=step, done=done, total=total)
                        self.is_seen.set()
                        await asyncio.sleep(BEAT_SECONDS)
            await asyncio.sleep(BEAT_SECONDS)


@asynccontextmanager
async def job_run(
    database: AsyncEngine, kind: JobKind, *, job_id: str | None, requested_by: str
) -> AsyncIterator[JobRun]:
    """Run the body as a job: a queued one, or a new one. Raises Conflict while another of its kind is under way."""
    job_id = job_id or (await create_job(database, kind, requested_by=requested_by)).job_id
    await start_job(database, job_id)
    run = JobRun(job_id)
    beating = asyncio.create_task(run.keep_beating(database))
    try:
        await run.is_seen.wait()
        yield run
    except BaseException as error:
        await _stop(beating)
        reason = error.message if isinstance(error, TuwenError) else UNEXPECTED
        with contextlib.suppress(Unavailable):
            await asyncio.shield(fail_job(database, job_id, error=reason))
        raise
    await _stop(beating)
    await finish_job(database, job_id, generation=run.generation)


async def _stop(task: asyncio.Task[None]) -> None:
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
