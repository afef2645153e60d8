"""A post's line in a file -> the row to write, its picture taken from beside the file."""

from __future__ import annotations

from dataclasses import asdict, replace
from pathlib import Path

from app.domain import PictureStatus
from app.intake.lines import PostLine
from app.intake.posts import KeptPicture, keep_picture, post_row
from app.storage.posts import PostRow
from app.storage.stores import Stores


def row_with_picture(stores: Stores, line: PostLine, folder: Path) -> PostRow:
    """The row of a line. Reads and checks the picture, so it blocks; call it in a thread."""
    row = replace(post_row(line), deleted_at=line.deleted_at, hidden=line.hidden, pinned_at=line.pinned_at)
    picture = _picture(stores, line, folder)
    return row if picture is None else replace(row, **asdict(picture))


def _picture(stores: Stores, line: PostLine, folder: Path) -> KeptPicture | None:
    if not line.picture:
        return None if line.picture_status in (None, "stored") else KeptPicture(PictureStatus(line.picture_status))
    file = _inside(folder, line.picture)
    if file is None:
        return KeptPicture(PictureStatus.MISSING)
    try:
        if file.stat().st_size > stores.settings.picture_max_bytes:
            return KeptPicture(PictureStatus.TOO_LARGE)
        content = file.read_bytes()
    except OSError:
        return KeptPicture(PictureStatus.UNREADABLE)
    return keep_picture(stores, content)


def _inside(folder: Path, written: str) -> Path | None:
    """The regular file of that relative path, unless it is missing or leads out of the folder, by links too."""
    try:
        file = (folder / written).resolve()
        return file if file.is_relative_to(folder.resolve()) and file.is_file() else None
    except (OSError, RuntimeError):  # a name too long for the file system, or links in a circle
        return None
