"""Long pieces of work <-> the table of jobs: one of a kind at a time, how far it is and how it ended."""

from __future__ import annotations

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from sqlalchemy import RowMapping, TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.errors import Conflict, UnknownId
from app.storage.postgres import session, transaction

SILENT_AFTER = timedelta(seconds=30)  # without a sign of life a job counts as dead
GONE_AFTER = timedelta(seconds=5)  # the same where PostgreSQL sees no process of it any more
LIVES_LOCK = 0x7475_7765  # with the job's id: held by its process as long as that lives
JOBS_LOCK = 0x7475_7765_6E04  # one process at a time looks for a running job and starts its own
DIED = "stopped without saying so: its process was killed or has crashed; start it again"

_COLUMNS = """job_id, kind, state, step, done_count, total_count, error, generation, requested_by,
    created_at, started_at, finished_at,
    extract(epoch FROM coalesce(finished_at, clock_timestamp()) - created_at) AS seconds"""
_UNDER_WAY = "state IN ('queued', 'running')"
# (S608: only constants of this file are put together; values travel as parameters.)
_LOCK = text("SELECT pg_advisory_xact_lock(:lock)").bindparams(lock=JOBS_LOCK)
_HOLD = text("SELECT pg_advisory_lock_shared(:lock, hashtext(:job_id))").bindparams(lock=LIVES_LOCK)
# A process whose PostgreSQL was started again needs a moment to be seen again.
_BURY = text(f"""
    UPDATE jobs SET state = 'failed', error = :error, finished_at = clock_timestamp()
    WHERE {_UNDER_WAY} AND (
        heartbeat_at < clock_timestamp() - CAST(:silent_after AS interval)
        OR state = 'running'
        AND greatest(heartbeat_at, pg_postmaster_start_time()) < clock_timestamp() - CAST(:gone_after AS interval)
        AND NOT EXISTS (
            SELECT FROM pg_locks
            WHERE locktype = 'advisory' AND classid = CAST(:lock AS oid) AND objid = CAST(hashtext(job_id) AS oid)))
    """).bindparams(error=DIED, silent_after=SILENT_AFTER, gone_after=GONE_AFTER, lock=LIVES_LOCK)  # noqa: S608
_FIND_RUNNING = text(f"SELECT {_COLUMNS} FROM jobs WHERE kind = :kind AND {_UNDER_WAY} LIMIT 1")  # noqa: S608
_CREATE = text(f"""
    INSERT INTO jobs (job_id, kind, requested_by) VALUES (:job_id, :kind, :requested_by)
    RETURNING {_COLUMNS}""")  # noqa: S608
_START = text(f"""
    UPDATE jobs SET state = 'running', started_at = clock_timestamp(), heartbeat_at = clock_timestamp()
    WHERE job_id = :job_id AND {_UNDER_WAY}""")  # noqa: S608
_PROGRESS = text(f"""
    UPDATE jobs SET step = :step, done_count = :done, total_count = :total, heartbeat_at = clock_timestamp()
    WHERE job_id = :job_id AND {_UNDER_WAY}""")  # noqa: S608
_BEAT = text(f"UPDATE jobs SET heartbeat_at = clock_timestamp() WHERE job_id = :job_id AND {_UNDER_WAY}")  # noqa: S608
# Also of a job that was given up for dead in a long silence: what it made is there.
_FINISH = text("""
    UPDATE jobs
    SET state = 'done', step = 'done', error = NULL, generation = :generation, finished_at = clock_timestamp()
    WHERE job_id = :job_id""")
_FAIL = text(f"""
    UPDATE jobs SET state = 'failed', error = :error, finished_at = clock_timestamp()
    WHERE job_id = :job_id AND {_UNDER_WAY} RETURNING job_id""")  # noqa: S608
_GET = text(f"SELECT {_COLUMNS} FROM jobs WHERE job_id = :job_id")  # noqa: S608
_LATEST = text(f"SELECT {_COLUMNS} FROM jobs ORDER BY created_at DESC, job_id LIMIT :limit")  # noqa: S608


class JobKind(StrEnum):
    """What is worked on."""

    REINDEX = "reindex"
    TRAIN = "train"


class JobState(StrEnum):
    """How far a job is."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Job:
    """A piece of work as it stands."""

    job_id: str
    kind: JobKind
    state: JobState
    step: str
    done: int  # of this step
    total: int | None
    error: str | None
    generation: str | None  # what it made
    requested_by: str | None
    created_at: datetime  # UTC, aware
    started_at: datetime | None  # UTC, aware
    finished_at: datetime | None  # UTC, aware
    seconds: float  # since it was asked for, or how long it took


async def create_job(database: AsyncEngine, kind: JobKind, *, requested_by: str) -> Job:
    """Queue a job. Raises Conflict with the fact `job` while another of its kind is under way and alive."""
    async with transaction(database) as connection:
        await connection.execute(_LOCK)
        await connection.execute(_BURY)
        running = await _one(connection, _FIND_RUNNING, {"kind": kind})
        if running is not None:
            raise Conflict(f"a {kind} job is under way; wait for it", job=running)
        values = {"job_id": f"{kind}-{secrets.token_hex(6)}", "kind": kind, "requested_by": requested_by}
        return job_of((await connection.execute(_CREATE, values)).mappings().one())


async def start_job(database: AsyncEngine, job_id: str) -> None:
    """Say that the work has begun."""
    await _change(database, _START, job_id=job_id)


@asynccontextmanager
async def life_of_job(database: AsyncEngine, job_id: str) -> AsyncIterator[AsyncConnection]:
    """A connection that is the job's life: the lock it holds is gone the moment that this process is."""
    async with session(database) as connection:
        await connection.execute(_HOLD, {"job_id": job_id})
        yield connection


async def report_progress(life: AsyncConnection, job_id: str, *, step: str, done: int, total: int | None) -> None:
    """Say how far the work is; also a sign of life."""
    await life.execute(_PROGRESS, {"job_id": job_id, "step": step, "done": done, "total": total})


async def beat(database: AsyncEngine, job_id: str) -> None:
    """A sign of life, for steps that take long."""
    await _change(database, _BEAT, job_id=job_id)


async def finish_job(database: AsyncEngine, job_id: str, *, generation: str | None) -> None:
    """The work is done."""
    await _change(database, _FINISH, job_id=job_id, generation=generation)


async def fail_job(database: AsyncEngine, job_id: str, *, error: str) -> bool:
    """The work has failed; false when it had ended before."""
    async with transaction(database) as connection:
        return await connection.scalar(_FAIL, {"job_id": job_id, "error": error}) is not None


async def get_job(database: AsyncEngine, job_id: str) -> Job:
    """A job as it stands. Raises UnknownId."""
    async with transaction(database) as connection:
        await connection.execute(_BURY)
        job = await _one(connection, _GET, {"job_id": job_id})
    if job is None:
        raise UnknownId("there is no job with this id; POST /reindex starts one")
    return job


async def latest_jobs(database: AsyncEngine, *, limit: int = 10) -> list[Job]:
    """The latest jobs of all kinds, latest first."""
    async with transaction(database) as connection:
        await connection.execute(_BURY)
        return [job_of(row) for row in (await connection.execute(_LATEST, {"limit": limit})).mappings()]


def job_of(row: RowMapping) -> Job:
    """A row of the table as a job."""
    return Job(
        job_id=row["job_id"],
        kind=JobKind(row["kind"]),
        state=JobState(row["state"]),
        step=row["step"],
        done=row["done_count"],
        total=row["total_count"],
        error=row["error"],
        generation=row["generation"],
        requested_by=row["requested_by"],
        created_at=row["created_at"],
        started_at=row["started_at"],
        finished_at=row["finished_at"],
        seconds=float(row["seconds"]),
    )


async def _change(database: AsyncEngine, statement: TextClause, **values: object) -> None:
    async with transaction(database) as connection:
        await connection.execute(statement, values)


async def _one(connection: AsyncConnection, statement: TextClause, values: dict[str, object]) -> Job | None:
    row = (await connection.execute(statement, values)).mappings().one_or_none()
    return None if row is None else job_of(row)
