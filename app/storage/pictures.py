"""Picture bytes <-> files named by their SHA-256; the same picture is stored once."""

from __future__ import annotations

import hashlib
import os
import tempfile
from pathlib import Path


class PictureFolder:
    """Pictures in two levels of folders, so that no folder grows too large."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def path(self, picture_hash: str) -> Path:
        """Where the picture of that hash lies, or would lie."""
        return self._folder / picture_hash[:2] / picture_hash[2:4] / picture_hash

    def read(self, picture_hash: str) -> bytes:
        """The stored bytes."""
        return self.path(picture_hash).read_bytes()

    def save(self, content: bytes) -> str:
        """Store the bytes and return their hash; a reader never sees half a picture."""
        picture_hash = hashlib.sha256(content).hexdigest()
        file = self.path(picture_hash)
        if file.exists():
            return picture_hash
        file.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=file.parent, delete=False) as unfinished:
            unfinished.write(content)
            unfinished.flush()
            os.fsync(unfinished.fileno())
        Path(unfinished.name).rename(file)
        return picture_hash
