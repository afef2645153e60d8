"""A post's line in a file -> the row to write, its picture taken from beside the file."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from app.domain import PictureStatus
from app.intake.lines import PostLine
from app.intake.posts import keep_picture, post_row
from app.storage.posts import PostRow
from app.storage.stores import Stores


def row_with_picture(stores: Stores, line: PostLine, folder: Path) -> PostRow:
    """The row of a line. Reads and checks the picture, so it blocks; call it in a thread."""
    status, picture_hash = _picture(stores, line, folder)
    return replace(
        post_row(line),
        deleted_at=line.deleted_at,
        picture_status=status,
        picture_hash=picture_hash,
        hidden=line.hidden,
    )


def _picture(stores: Stores, line: PostLine, folder: Path) -> tuple[PictureStatus | None, str | None]:
    if not line.picture:
        stated = None if line.picture_status in (None, "stored") else PictureStatus(line.picture_status)
        return stated, None
    file = _inside(folder, line.picture)
    if file is None:
        return PictureStatus.MISSING, None
    try:
        if file.stat().st_size > stores.settings.picture_max_bytes:
            return PictureStatus.TOO_LARGE, None
        content = file.read_bytes()
    except OSError:
        return PictureStatus.UNREADABLE, None
    return keep_picture(stores, content)


def _inside(folder: Path, written: str) -> Path | None:
    """The regular file of that relative path, unless it is missing or leads out of the folder, by links too."""
    try:
        file = (folder / written).resolve()
        return file if file.is_relative_to(folder.resolve()) and file.is_file() else None
    except (OSError, RuntimeError):  # a name too long for the file system, or links in a circle
        return None
