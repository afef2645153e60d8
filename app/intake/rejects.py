"""Bad rows -> a JSON Lines file with line number, reason and the row itself, to be mended and imported again."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from app.errors import Unavailable

RAW_CHARACTERS = 10_000


class RejectsFile:
    """The rejects of one import of one file; those of an earlier import of it give way when this one ends."""

    def __init__(self, folder: Path, imported: Path) -> None:
        self.path = folder / f"{imported.name}.rejects.jsonl"
        self._unfinished = folder / f".{imported.name}.{os.getpid()}.unfinished"
        self._output: BinaryIO | None = None

    @property
    def is_used(self) -> bool:
        """Whether there was any bad row."""
        return self._output is not None

    def __enter__(self) -> RejectsFile:
        return self

    def add(self, line: int, reason: str, raw: bytes) -> None:
        """Write one bad row."""
        text = raw.decode("utf-8", "backslashreplace")[:RAW_CHARACTERS]
        content = json.dumps({"line": line, "reason": reason, "raw": text}, ensure_ascii=False) + "\n"
        try:
            if self._output is None:
                self._unfinished.parent.mkdir(parents=True, exist_ok=True)
                self._output = self._unfinished.open("wb")
            self._output.write(content.encode("utf-8", "backslashreplace"))
        except OSError as problem:
            raise self._unwritable(problem) from None

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if self._output is None:
                self.path.unlink(missing_ok=True)
            else:
                self._output.close()
                self._unfinished.replace(self.path)
        except OSError as problem:
            raise self._unwritable(problem) from error

    def _unwritable(self, problem: OSError) -> Unavailable:
        hint = "make room or set TUWEN_HOME to another disk"
        return Unavailable(f"cannot write the rejects in {self.path.parent}: {problem.strerror}; {hint}")


def erase_rejects(folder: Path, user_id: str) -> int:
    """Drop every line of the rejects files that holds the id as a word of its own; how many that were.

    Raises Unavailable when a file cannot be written anew.
    """
    forms = {user_id, json.dumps(user_id)[1:-1], json.dumps(user_id, ensure_ascii=False)[1:-1]}
    named = re.compile("|".join(rf"(?<![\w-]){re.escape(form)}(?![\w-])" for form in forms))
    return sum(_without_lines(file, named) for file in sorted(folder.glob("*.rejects.jsonl")))


def _without_lines(file: Path, named: re.Pattern[str]) -> int:
    dropped = 0
    unfinished = file.with_name(f".{file.name}.{os.getpid()}.erasing")
    try:
        with file.open("rb") as lines, unfinished.open("wb") as output:
            for line in lines:
                if named.search(str(json.loads(line)["raw"])):
                    dropped += 1
                else:
                    output.write(line)
        if dropped:
            unfinished.replace(file)
    except OSError as problem:
        hint = "make room and erase the person again"
        raise Unavailable(f"cannot write {file} anew: {problem.strerror}; {hint}") from None
    finally:
        unfinished.unlink(missing_ok=True)
    return dropped
