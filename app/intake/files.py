"""Files of posts, users, exposures and behaviours -> the same save functions that HTTP ends in, and a report.

A bad row is counted, written to the rejects file and stops nothing. Every chunk is committed before the next begins, so
an import that was interrupted is finished by starting it again.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path

from app.errors import Unavailable
from app.intake.beside import row_with_picture
from app.intake.chunks import Chunk, LineOf, chunks_of, read_ahead
from app.intake.events import Recorded, record_behaviours, record_exposures
from app.intake.freshness import log_grown
from app.intake.lines import BehaviourLine, ExposureLine, PostLine, UserLine
from app.intake.posts import save_rows
from app.intake.rejects import RejectsFile
from app.intake.report import Counts, FileProgress, ImportReport, Progress, silent
from app.intake.rows import reader_of
from app.intake.status import REJECTED, ItemStatus
from app.intake.users import save_users
from app.storage.postgres import async_engine
from app.storage.stores import Stores

POSTS_AT_ONCE = 500
USERS_AT_ONCE = 5_000
EVENTS_AT_ONCE = 10_000
OBJECTS_PER_COLLECTION = 500_000
GROWN_AT_MOST = 50_000  # users whose cached logs are outdated, before the cache is told

Save = Callable[[list[LineOf]], Awaitable[list[ItemStatus]]]


async def import_files(
    stores: Stores,
    *,
    posts: Path | None = None,
    users: Path | None = None,
    exposures: Path | None = None,
    behaviours: Path | None = None,
    progress: Progress = silent,
) -> ImportReport:
    """Import the files in this order. `behaviours` holds those that belong to no exposure's line.

    Raises BadInput for a file that is not there or not of its format, Unavailable when a store or the disk gives out.
    """
    began = time.monotonic()
    for path in (posts, users, exposures, behaviours):
        if path is not None:
            reader_of(path)
    # Batch work may take its time over a statement; requests of the API may not.
    database = async_engine(stores.addresses.database_url, statement_timeout_seconds=None, pool_size=2)
    run = _Import(replace(stores, database=database), progress)
    try:
        with _rare_collections():
            if posts is not None:
                save_posts = partial(run.save_posts, folder=posts.parent)
                await run.file("posts", posts, model=PostLine, save=save_posts, rows_at_most=POSTS_AT_ONCE)
            if users is not None:
                await run.file("users", users, model=UserLine, save=run.save_users, rows_at_most=USERS_AT_ONCE)
            if exposures is not None:
                save_events = run.save_exposures
                await run.file(
                    "exposures", exposures, model=ExposureLine, save=save_events, rows_at_most=EVENTS_AT_ONCE
                )
            if behaviours is not None:
                save_acts = run.save_behaviours
                await run.file(
                    "behaviours", behaviours, model=BehaviourLine, save=save_acts, rows_at_most=EVENTS_AT_ONCE
                )
    finally:
        await run.tell_cache()
        await database.dispose()
    run.report.seconds = time.monotonic() - began
    return run.report


@dataclass
class _Import:
    """One import under way."""

    stores: Stores
    progress: Progress
    report: ImportReport = field(default_factory=ImportReport)
    grown: set[str] = field(default_factory=set)  # users whose log has grown, which their caches do not know yet

    async def file(self, kind: str, path: Path, *, model: type[LineOf], save: Save[LineOf], rows_at_most: int) -> None:
        """Import one file, chunk by chunk."""
        counts: Counts = getattr(self.report, kind)
        bytes_total, rows_done = path.stat().st_size, 0
        with RejectsFile(self.stores.settings.home / "rejects", path) as rejects:
            try:
                async with aclosing(read_ahead(chunks_of(path, model, rows_at_most=rows_at_most))) as chunks:
                    async for chunk in chunks:
                        statuses = await save(chunk.lines)
                        _account(chunk, statuses, counts, rejects)
                        rows_done += len(chunk.rows) + len(chunk.rejected)
                        self.progress(FileProgress(kind, rows_done, chunk.bytes_done, bytes_total))
            except Unavailable as problem:
                begun = f"{rows_done:,} rows of {path.name} are in; import it again to go on"
                raise Unavailable(f"{problem.message}; {begun}", **problem.facts) from problem
        if rejects.is_used:
            self.report.rejects_files[kind] = rejects.path

    async def save_posts(self, lines: list[PostLine], *, folder: Path) -> list[ItemStatus]:
        """Commit a chunk of posts with the pictures beside their file."""
        rows = await asyncio.to_thread(lambda: [row_with_picture(self.stores, line, folder) for line in lines])
        self.report.pictures.update(row.picture_status for row in rows if row.picture_status is not None)
        return await save_rows(self.stores, rows)

    async def save_users(self, lines: list[UserLine]) -> list[ItemStatus]:
        """Commit a chunk of users."""
        return await save_users(self.stores, lines)

    async def save_exposures(self, lines: list[ExposureLine]) -> list[ItemStatus]:
        """Commit a chunk of exposures with their behaviours, which count apart."""
        recorded = await record_exposures(self.stores, lines)
        self.report.behaviours.accepted += recorded.acts_accepted
        self.report.behaviours.duplicate += recorded.acts_duplicate
        return await self._grow(recorded)

    async def save_behaviours(self, lines: list[BehaviourLine]) -> list[ItemStatus]:
        """Commit a chunk of behaviours that came by themselves."""
        return await self._grow(await record_behaviours(self.stores, lines))

    async def _grow(self, recorded: Recorded) -> list[ItemStatus]:
        self.grown |= recorded.user_ids
        if len(self.grown) > GROWN_AT_MOST:
            await self.tell_cache()
        return recorded.statuses

    async def tell_cache(self) -> None:
        """Users come again in chunk after chunk: the cache is told once for many chunks."""
        grown, self.grown = self.grown, set()
        await log_grown(self.stores, grown)


@contextmanager
def _rare_collections() -> Iterator[None]:
    """Rows hold no cycles and are freed when the last reference goes; looking for some takes most of the time."""
    usual = gc.get_threshold()
    gc.set_threshold(OBJECTS_PER_COLLECTION, *usual[1:])
    try:
        yield
    finally:
        gc.set_threshold(*usual)


def _account(chunk: Chunk[LineOf], statuses: list[ItemStatus], counts: Counts, rejects: RejectsFile) -> None:
    """Count the rows of a chunk that is committed, and write down its bad ones."""
    bad = list(chunk.rejected)
    for _, reason in bad:
        counts.reject(reason)
    for row, line, status in zip(chunk.rows, chunk.lines, statuses, strict=True):
        counts.add(status)
        counts.add_unknown(line.model_extra or ())
        if status.status == REJECTED:
            bad.append((row, status.reason or ""))
    for row, reason in sorted(bad, key=lambda one: one[0].number):
        rejects.add(row.number, reason, row.raw)
