"""Files of posts, users, exposures and behaviours -> the same save functions that HTTP ends in, and a report.

A bad row is counted, written to the rejects file and stops nothing. Every chunk is committed before the next begins, so
an import that was interrupted is finished by starting it again.
"""

from __future__ import annotations

import gc
import time
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import aclosing, contextmanager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import TypeVar

from app.errors import Unavailable
from app.intake.beside import row_with_picture
from app.intake.chunks import Chunk, LineOf, chunks_of, read_ahead
from app.intake.decoders import DECODERS
from app.intake.event_records import Showing, showings_of
from app.intake.events import Recorded, record_behaviours, record_exposures
from app.intake.freshness import log_grown
from app.intake.lines import BehaviourLine, ExposureLine, PostLine, UserLine
from app.intake.posts import save_rows
from app.intake.rejects import RejectsFile
from app.intake.report import Counts, FileProgress, ImportReport, Progress, silent
from app.intake.rows import reader_of
from app.intake.status import ERASED, REJECTED, ItemStatus
from app.intake.users import save_users
from app.storage.postgres import async_engine
from app.storage.posts import PostRow
from app.storage.stores import Stores

POSTS_AT_ONCE = 500
USERS_AT_ONCE = 5_000
EVENTS_AT_ONCE = 10_000
OBJECTS_PER_COLLECTION = 500_000
GROWN_AT_MOST = 50_000  # users whose cached logs are outdated, before the cache is told

Prepared = TypeVar("Prepared")


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
    database = async_engine(stores.addresses.database_url, pool_size=2)
    run = _Import(replace(stores, database=database), progress)
    try:
        with _rare_collections():
            if posts is not None:
                await run.posts(posts)
            if users is not None:
                await run.users(users)
            if exposures is not None:
                await run.exposures(exposures)
            if behaviours is not None:
                await run.behaviours(behaviours)
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

    async def posts(self, path: Path) -> None:
        """Import posts and the pictures beside their file."""

        def rows(lines: list[PostLine]) -> list[PostRow]:
            return list(pool.map(lambda line: row_with_picture(self.stores, line, path.parent), lines))

        async def save(rows: list[PostRow]) -> list[ItemStatus]:
            self.report.pictures.update(row.picture_status for row in rows if row.picture_status is not None)
            return await save_rows(self.stores, rows)

        chunks = chunks_of(path, PostLine, rows_at_most=POSTS_AT_ONCE)
        with ThreadPoolExecutor(DECODERS) as pool:
            await self._file("posts", path, chunks=chunks, prepare=rows, save=save)

    async def users(self, path: Path) -> None:
        """Import users."""
        chunks = chunks_of(path, UserLine, rows_at_most=USERS_AT_ONCE)
        await self._file("users", path, chunks=chunks, prepare=list, save=partial(save_users, self.stores))

    async def exposures(self, path: Path) -> None:
        """Import exposures; the behaviours inside them count apart."""

        async def save(showings: list[Showing]) -> list[ItemStatus]:
            recorded = await record_exposures(self.stores, showings)
            self.report.behaviours.accepted += recorded.acts_accepted
            self.report.behaviours.duplicate += recorded.acts_duplicate
            return await self._grow(recorded)

        chunks = chunks_of(path, ExposureLine, rows_at_most=EVENTS_AT_ONCE)
        await self._file("exposures", path, chunks=chunks, prepare=showings_of, save=save)

    async def behaviours(self, path: Path) -> None:
        """Import behaviours that came by themselves."""

        async def save(lines: list[BehaviourLine]) -> list[ItemStatus]:
            return await self._grow(await record_behaviours(self.stores, lines))

        chunks = chunks_of(path, BehaviourLine, rows_at_most=EVENTS_AT_ONCE)
        await self._file("behaviours", path, chunks=chunks, prepare=list, save=save)

    async def _file(
        self,
        kind: str,
        path: Path,
        *,
        chunks: Iterator[Chunk[LineOf]],
        prepare: Callable[[list[LineOf]], Prepared],
        save: Callable[[Prepared], Awaitable[list[ItemStatus]]],
    ) -> None:
        """Read, check and prepare a chunk in a thread while the one before it is being saved."""
        counts: Counts = getattr(self.report, kind)
        bytes_total, rows_done = path.stat().st_size, 0
        prepared = ((chunk, prepare(chunk.lines)) for chunk in chunks)
        with RejectsFile(self.stores, path) as rejects:
            try:
                async with aclosing(read_ahead(prepared)) as ready:
                    async for chunk, content in ready:
                        statuses = await save(content)
                        _account(chunk, statuses, counts, rejects)
                        rows_done += len(chunk.rows) + len(chunk.rejected)
                        self.progress(FileProgress(kind, rows_done, chunk.bytes_done, bytes_total))
            except Unavailable as problem:
                begun = f"{rows_done:,} rows of {path.name} are in; import it again to go on"
                raise Unavailable(f"{problem.message}; {begun}", **problem.facts) from problem
        if rejects.path.exists():
            self.report.rejects_files[kind] = rejects.path

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
        if status.status == REJECTED and status.reason != ERASED:  # of the erased nothing is written down again
            bad.append((row, status.reason or ""))
    for row, reason in sorted(bad, key=lambda one: one[0].number):
        rejects.add(row.number, reason, row.raw)
