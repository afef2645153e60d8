"""Picture bytes <-> files named by their SHA-256; the same picture is stored once."""

from __future__ import annotations

import hashlib
import os
import secrets
from pathlib import Path

from app.errors import Unavailable


class PictureFolder:
    """Pictures in two levels of folders, so that no folder grows too large."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, picture_hash: str) -> Path:
        """Where the picture of that hash lies, or would lie."""
        return self._folder / picture_hash[:2] / picture_hash[2:4] / picture_hash

    def read(self, picture_hash: str) -> bytes:
        """The stored bytes. Raises FileNotFoundError when the folder has lost them."""
        return self.path(picture_hash).read_bytes()

    def holds(self, content: bytes) -> bool:
        """Whether just these bytes are stored."""
        return self.path(hashlib.sha256(content).hexdigest()).exists()

    def save(self, content: bytes) -> str:
        """Store the bytes and return their hash; a reader never sees half a picture, not even after a crash."""
        picture_hash = hashlib.sha256(content).hexdigest()
        self.keep(picture_hash, content)
        return picture_hash

    def keep(self, picture_hash: str, content: bytes) -> None:
        """Store the bytes as what belongs to the picture of that hash. Raises Unavailable when the disk is full."""
        file = self.path(picture_hash)
        if file.exists():
            return
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            _write_whole(file, content)
        except OSError as problem:
            hint = "make room or set TUWEN_HOME to another disk, then send it again"
            raise Unavailable(f"cannot store a picture in {self._folder}: {problem.strerror}; {hint}") from None


def _write_whole(file: Path, content: bytes) -> None:
    unfinished = file.with_name(f".{secrets.token_hex(8)}.unfinished")
    try:
        with unfinished.open("wb") as output:
            output.write(content)
            output.flush()
            os.fsync(output.fileno())
        unfinished.replace(file)
    except OSError:
        unfinished.unlink(missing_ok=True)
        raise
    _sync_folder(file.parent)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
