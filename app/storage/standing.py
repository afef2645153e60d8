"""The database -> how it stands: its log, jobs, rejected items and clock; for metrics and `tuwen doctor`."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.storage.jobs import JobKind, JobState
from app.storage.postgres import transaction

# Windows that are looked at one after the other, because an index by blocks makes short ones cheap, and a log that is
# alive ends in the first.
WINDOWS = ("1 minute", "1 hour", "1 day", "30 days", "100 years")

_NEWEST = text("""
    SELECT extract(epoch FROM clock_timestamp() - max(arrived_at)) FROM exposures
    WHERE arrived_at > clock_timestamp() - CAST(:window AS interval)""")
_ENDINGS = text("""
    SELECT DISTINCT ON (kind, state) kind, state, error,
        extract(epoch FROM clock_timestamp() - finished_at) AS age_seconds,
        extract(epoch FROM finished_at - created_at) AS seconds
    FROM jobs WHERE finished_at IS NOT NULL ORDER BY kind, state, finished_at DESC""")
_UNDER_WAY = text("SELECT kind, count(*) FROM jobs WHERE finished_at IS NULL GROUP BY kind")
_LETTERS = text("SELECT count(*) FROM dead_letters")
_CLOCK = text("SELECT extract(epoch FROM clock_timestamp())")


@dataclass(frozen=True, slots=True)
class JobEnding:
    """The last job of a kind that ended in a state."""

    kind: JobKind
    state: JobState
    error: str | None
    age_seconds: float  # since it ended
    seconds: float  # that it took


@dataclass(frozen=True, slots=True)
class Standing:
    """What the database says of the log and the jobs."""

    log_age_seconds: float | None  # since the latest exposure arrived; None for an empty log
    endings: tuple[JobEnding, ...]
    under_way: Mapping[JobKind, int]
    clock_ahead_seconds: float  # the database's clock against this machine's
    dead_letters: int  # rejected items that are kept

    def ending(self, kind: JobKind, state: JobState) -> JobEnding | None:
        """The last one of a kind and state."""
        return next((one for one in self.endings if (one.kind, one.state) == (kind, state)), None)


async def read_standing(database: AsyncEngine) -> Standing:
    """Ask the database. Raises Unavailable."""
    async with transaction(database) as connection:
        theirs = float(await connection.scalar(_CLOCK) or 0)
        ahead_seconds = theirs - time.time()
        endings = [
            JobEnding(
                JobKind(row["kind"]),
                JobState(row["state"]),
                row["error"],
                float(row["age_seconds"]),
                float(row["seconds"]),
            )
            for row in (await connection.execute(_ENDINGS)).mappings()
        ]
        under_way = {JobKind(kind): int(count) for kind, count in await connection.execute(_UNDER_WAY)}
        letters = int(await connection.scalar(_LETTERS) or 0)
        return Standing(await _log_age_seconds(connection), tuple(endings), under_way, ahead_seconds, letters)


async def _log_age_seconds(connection: AsyncConnection) -> float | None:
    for window in WINDOWS:
        age_seconds = await connection.scalar(_NEWEST, {"window": window})
        if age_seconds is not None:
            return float(age_seconds)
    return None
