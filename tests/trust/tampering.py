"""Small generations to be tampered with, and a manifest that agrees with whatever was done to the files."""

from __future__ import annotations

import hashlib
import json
import shutil
from datetime import UTC, datetime
from pathlib import Path

from app.candidates.generation import MANIFEST, GenerationFolder, Manifest, load_generation, sealed
from app.errors import BadArtefact, UnknownId
from tests.candidates.worlds import WIDTH, contents, with_vectors

NOW = datetime(2026, 1, 1, tzinfo=UTC)
FLAT_POSTS = 60


def write(folder: GenerationFolder, *, posts: int = FLAT_POSTS, seed: int = 0, width: int = WIDTH) -> str:
    made = contents(posts, seed, width=width)
    made = with_vectors(made, made.vectors, made.quality)
    return folder.write(made, origin="start", parent=None, changes_until=NOW)


def copied(original: Path, to: Path) -> Path:
    """A copy under the same name: the name is part of what is checked."""
    shutil.rmtree(to, ignore_errors=True)
    return Path(shutil.copytree(original, to / original.name))


def is_refused(folder: Path) -> bool:
    try:
        load_generation(folder)
    except (BadArtefact, UnknownId):
        return True
    return False


def reseal(folder: Path) -> None:
    """Give a tampered folder a manifest that agrees with its files: only what the files hold can betray it now."""
    values = json.loads((folder / MANIFEST).read_text())
    del values["manifest_sha256"]
    values["files"] = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in values["files"]}
    (folder / MANIFEST).write_bytes(sealed(Manifest(**values)))
