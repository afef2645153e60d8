"""Bad rows -> a JSON Lines file with line number, reason and the row itself, to be mended and imported again.

Whoever writes a file of the folder anew has the folder alone: an erasure, and an import that ends. So whichever of the
two comes later sees what the other did, and no row that names an erased person stays.
"""

from __future__ import annotations

import json
import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from app.errors import Unavailable
from app.storage.locks import FileLock
from app.storage.mentions import mentions_in
from app.storage.postgres import sync_engine, sync_transaction
from app.storage.stores import Stores

RAW_CHARACTERS = 10_000
PATIENCE_SECONDS = 60.0  # for another who has the folder
# What is read as another text than it is written: escapes, and numbers.
_WRITTEN_OTHERWISE = re.compile(r"\\|\d[eE]|\d{19}")


class RejectsFile:
    """The rejects of one import of one file; those of an earlier import of it give way when this one ends.

    An import that ends because a store or the disk is away leaves none: it has to be done again.
    """

    def __init__(self, stores: Stores, imported: Path) -> None:
        self._stores = stores
        folder = stores.settings.rejects
        self.path = folder / f"{imported.name}.rejects.jsonl"
        self._unfinished = folder / f".{imported.name}.{secrets.token_hex(4)}.unfinished"
        self._output: BinaryIO | None = None
        self._alive: FileLock | None = None  # held for as long as the unfinished file is this import's

    def __enter__(self) -> RejectsFile:
        return self

    def add(self, line: int, reason: str, raw: bytes) -> None:
        """Write one bad row."""
        text = raw.decode("utf-8", "backslashreplace")[:RAW_CHARACTERS]
        content = json.dumps({"line": line, "reason": reason, "raw": text}, ensure_ascii=False) + "\n"
        with _as_unavailable(self.path.parent):
            if self._output is None:
                self._output = self._opened()
            self._output.write(content.encode("utf-8", "backslashreplace"))

    def _opened(self) -> BinaryIO:
        self._unfinished.parent.mkdir(parents=True, exist_ok=True)
        with _alone(self._unfinished.parent):
            self._alive = FileLock(self._unfinished)
            self._alive.try_own()
            return self._unfinished.open("wb")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            with _as_unavailable(self.path.parent):
                if self._output is not None:
                    self._output.close()
                if not isinstance(error, Unavailable):
                    self._take_the_place()
        finally:
            self._unfinished.unlink(missing_ok=True)
            if self._alive is not None:
                self._alive.close()

    def _take_the_place(self) -> None:
        """Be what there is of this file, without the rows that name an erased person."""
        if self._output is None and not self.path.exists():
            return
        with _alone(self.path.parent):
            if self._output is None or not self._holds_any():
                self.path.unlink(missing_ok=True)
            else:
                self._unfinished.replace(self.path)

    def _holds_any(self) -> bool:
        """Whether anything is left once the erased are out."""
        erased = self._stores.erased
        engine = sync_engine(self._stores.addresses.database_url)
        try:
            with sync_transaction(engine) as connection:
                hashes = erased.hashes(connection)
        finally:
            engine.dispose()
        if hashes:
            _without_lines(self._unfinished, lambda raw: any(erased.hash_of(one) in hashes for one in mentions_in(raw)))
        return self._unfinished.stat().st_size > 0


def erase_rejects(folder: Path, user_id: str) -> int:
    """Drop every line of the rejects files that names the person; how many that were.

    An import under way drops its own when it ends. Raises Unavailable when a file cannot be written anew.
    """
    with _as_unavailable(folder), _alone(folder):
        files = sorted(folder.glob("*.rejects.jsonl"))
        return sum(_without_lines(file, _naming(user_id)) for file in files)


def _naming(user_id: str) -> Callable[[str], bool]:
    """Whether a row names the person: the id is a word of its own in it, or what some part of it is read as."""
    forms = {user_id, json.dumps(user_id)[1:-1], json.dumps(user_id, ensure_ascii=False)[1:-1]}
    word = re.compile("|".join(rf"(?<![\w-]){re.escape(form)}(?![\w-])" for form in forms))
    bare = user_id.replace('"', "")

    def is_named(raw: str) -> bool:
        # Reading takes long: not where nothing but quotes can stand between the id and its text.
        if bare not in raw.replace('"', "") and not _WRITTEN_OTHERWISE.search(raw):
            return False
        return word.search(raw) is not None or user_id in mentions_in(raw)

    return is_named


def delete_rejects(folder: Path, *, before: float | None) -> int:
    """Delete rejects files last written before a moment in unix seconds; how many. With None only what was left behind.

    Raises Unavailable.
    """
    with _as_unavailable(folder), _alone(folder):
        files = [] if before is None else list(folder.glob("*.rejects.jsonl"))
        old = [file for file in files if file.stat().st_mtime < (before or 0)]
        for file in old:
            file.unlink(missing_ok=True)
    return len(old)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Have the folder alone, rid of what a killed process has left in it."""
    lock = FileLock(folder.with_name(f"{folder.name}.lock"))
    try:
        if not lock.own(seconds=PATIENCE_SECONDS):
            raise Unavailable(f"the files in {folder} are being written by another process; try again")
        for file in folder.glob(".*.erasing"):
            file.unlink()
        for file in folder.glob(".*.unfinished"):
            _unlink_if_left(file)
        yield
    finally:
        lock.close()


def _unlink_if_left(file: Path) -> None:
    """Delete an unfinished file whose import is gone."""
    alive = FileLock(file)
    try:
        if alive.try_own():
            file.unlink(missing_ok=True)
    finally:
        alive.close()


def _without_lines(file: Path, is_unwanted: Callable[[str], bool]) -> int:
    """Write the file anew without the lines of such rows; how many there were."""
    dropped = 0
    unfinished = file.with_name(f".{file.name}.erasing")
    try:
        with file.open("rb") as lines, unfinished.open("wb") as output:
            for line in lines:
                if is_unwanted(str(json.loads(line)["raw"])):
                    dropped += 1
                else:
                    output.write(line)
        if dropped:
            unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)
    return dropped


@contextmanager
def _as_unavailable(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as problem:
        hint = "make room or set TUWEN_HOME to another disk, and do it again"
        raise Unavailable(f"cannot write the rejects in {folder}: {problem.strerror}; {hint}") from None
