"""A queued reindex job -> a child process that works on it, watched until it ends: encoding must not slow requests."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import sys
from pathlib import Path

from app.errors import Unavailable
from app.metrics import Metrics
from app.settings import child_environment
from app.storage.jobs import Job, JobKind, beat, create_job, fail_job
from app.storage.stores import Stores

ROOT = Path(__file__).parents[2]
BEAT_SECONDS = 5.0  # the child takes a while to import before it gives signs of life itself
STOP_SECONDS = 5.0
STOPPED = "the service was stopped meanwhile; start it again"

logger = logging.getLogger(__name__)


class ReindexChildren:
    """The reindex processes of this service; the table of jobs sees to it that there is one at a time."""

    def __init__(self, stores: Stores, metrics: Metrics) -> None:
        self._stores = stores
        self._metrics = metrics
        self._watching: set[asyncio.Task[None]] = set()
        self._is_closing = False

    async def start(self, *, requested_by: str) -> Job:
        """Queue a job and start its process. Raises Conflict with the fact `job` while another one is under way."""
        job = await create_job(self._stores.database, JobKind.REINDEX, requested_by=requested_by)
        task = asyncio.create_task(self._run(job.job_id))
        self._watching.add(task)
        task.add_done_callback(self._watching.discard)
        return job

    async def close(self) -> None:
        """Stop what is under way and say so in its job."""
        self._is_closing = True
        for task in list(self._watching):
            task.cancel()
        await asyncio.gather(*self._watching, return_exceptions=True)

    async def _run(self, job_id: str) -> None:
        """Run the job's process to its end. A job whose process ended without a word is marked failed."""
        try:
            process = await self._spawn(job_id)
        except OSError as problem:
            await self._fail(job_id, f"its process could not be started: {problem.strerror}")
            return
        beating = asyncio.create_task(self._keep_beating(job_id))
        try:
            code = await process.wait()
        except asyncio.CancelledError:
            await _stop(process)
            await self._fail(job_id, STOPPED)
            raise
        finally:
            beating.cancel()
        self._metrics.reindex.labels("failed" if code else "done").inc()
        if code:
            await self._fail(job_id, f"its process ended with code {code}; the log of the service says why")

    async def _spawn(self, job_id: str) -> asyncio.subprocess.Process:
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "app.cli", "reindex", "--job", job_id),
            env={**child_environment(self._stores.settings), "PYTHONPATH": str(ROOT)},
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C reaches the service, which then stops it in order
        )

    async def _keep_beating(self, job_id: str) -> None:
        while True:
            with contextlib.suppress(Unavailable):
                await beat(self._stores.database, job_id)
            await asyncio.sleep(BEAT_SECONDS)

    async def _fail(self, job_id: str, error: str) -> None:
        try:
            if await fail_job(self._stores.database, job_id, error=error):
                logger.error("reindex job %s failed: %s", job_id, error)
        except Unavailable:
            logger.error("reindex job %s failed, which cannot be written down now: %s", job_id, error)


async def _stop(process: asyncio.subprocess.Process) -> None:
    """Ask the process to end, and make it when it does not."""
    with contextlib.suppress(ProcessLookupError):
        process.terminate()
    try:
        await asyncio.wait_for(process.wait(), STOP_SECONDS)
    except TimeoutError:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        await process.wait()
