"""The catalogue and the log -> a folder of files that an import reads back into the same tables."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

import orjson

from app.errors import BadInput, Unavailable
from app.intake.report import ExportReport, FileProgress, Progress, silent
from app.storage.pictures import PictureFolder
from app.storage.postgres import async_engine
from app.storage.snapshot import Snapshot, snapshot
from app.storage.stores import Stores

ROWS_PER_PROGRESS = 1000
SUFFIXES = {b"\xff\xd8": ".jpg", b"\x89P": ".png", b"RI": ".webp"}  # by the first two bytes of a picture


async def export_to(stores: Stores, folder: Path, progress: Progress = silent) -> ExportReport:
    """Write posts with their pictures, users, exposures, and the behaviours that belong to no exposure.

    All of it is of one moment. Raises BadInput for a folder with something in it, Unavailable when a store or the disk
    gives out; a file that could not be finished is then called .unfinished.
    """
    began = time.monotonic()
    database = async_engine(stores.addresses.database_url, pool_size=1)
    report = ExportReport(folder)
    try:
        with _disk_trouble_told(folder):
            _make_empty(folder)
        # Inside the snapshot, lest its transaction takes the disk's errors for those of the connection.
        async with snapshot(database) as moment:
            with _disk_trouble_told(folder):
                await _posts(moment, stores.pictures, report, progress)
                await _users(moment, report, progress)
                await _exposures(moment, report, progress)
                await _behaviours(moment, report, progress)
    finally:
        await database.dispose()
    report.seconds = time.monotonic() - began
    return report


@contextmanager
def _disk_trouble_told(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        hint = "make room or name a folder on another disk, then export again"
        raise Unavailable(f"cannot write in {folder}: {problem.strerror}; {hint}") from None


def _make_empty(folder: Path) -> None:
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise BadInput(f"{folder} is not an empty folder: name a new one")
    (folder / "pictures").mkdir(parents=True, exist_ok=True)


class _LinesFile:
    """One JSON Lines file being written; it has its name only once it is whole."""

    def __init__(self, folder: Path, kind: str, progress: Progress) -> None:
        self._kind, self._progress = kind, progress
        self._path = folder / f"{kind}.jsonl"
        self._unfinished = folder / f"{kind}.jsonl.unfinished"
        self._output = self._unfinished.open("wb")
        self._bytes_done = 0
        self.rows_done = 0

    def add(self, line: bytes) -> None:
        """Write one line."""
        self._bytes_done += self._output.write(line + b"\n")
        self.rows_done += 1
        if self.rows_done % ROWS_PER_PROGRESS == 0:
            self._tell()

    def __enter__(self) -> _LinesFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._output:
            if error is not None:
                return
            self._output.flush()
            os.fsync(self._output.fileno())
        self._unfinished.replace(self._path)
        self._tell()

    def _tell(self) -> None:
        self._progress(FileProgress(self._kind, self.rows_done, self._bytes_done, None))


async def _posts(moment: Snapshot, pictures: PictureFolder, report: ExportReport, progress: Progress) -> None:
    with _LinesFile(report.folder, "posts", progress) as output:
        async for post in moment.posts():
            line = dict(post)
            picture_hash = line.pop("picture_hash")
            line["picture"] = _copy_picture(pictures, picture_hash, report) if picture_hash else None
            output.add(orjson.dumps(line))
        report.posts = output.rows_done


def _copy_picture(pictures: PictureFolder, picture_hash: str, report: ExportReport) -> str | None:
    """The path of the picture beside the file, once it is there."""
    try:
        with pictures.path(picture_hash).open("rb") as stored:
            suffix = SUFFIXES.get(stored.read(2), "")
        name = f"pictures/{picture_hash}{suffix}"
        if not (report.folder / name).exists():
            shutil.copyfile(pictures.path(picture_hash), report.folder / name)
            report.pictures += 1
    except FileNotFoundError:
        report.pictures_lost += 1
        return None
    return name


async def _users(moment: Snapshot, report: ExportReport, progress: Progress) -> None:
    with _LinesFile(report.folder, "users", progress) as output:
        async for line in moment.users():
            output.add(line.encode())
        report.users = output.rows_done


async def _exposures(moment: Snapshot, report: ExportReport, progress: Progress) -> None:
    with _LinesFile(report.folder, "exposures", progress) as output:
        async for line, acts in moment.exposures():
            output.add(line.encode())
            report.behaviours += acts
        report.exposures = output.rows_done


async def _behaviours(moment: Snapshot, report: ExportReport, progress: Progress) -> None:
    with _LinesFile(report.folder, "behaviours", progress) as output:
        async for line in moment.loose_behaviours():
            output.add(line.encode())
        report.behaviours += output.rows_done
