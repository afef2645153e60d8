"""Bad rows -> a JSON Lines file with line number, reason and the row itself, to be mended and imported again."""

from __future__ import annotations

import json
import os
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
