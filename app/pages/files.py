"""Names and hashes -> the files that pages show: what ships with the code, and stored pictures."""

from __future__ import annotations

import contextlib
import re
from pathlib import Path

from starlette.responses import FileResponse, Response

from app.domain import PictureStatus
from app.errors import Unavailable
from app.intake.decoders import decoders_of
from app.pages.safety import FILE_HEADERS
from app.storage.pictures import PictureFolder
from app.storage.stores import Stores

STATIC = Path(__file__).parent / "static"
STATIC_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
PICTURE_HASH = re.compile(r"[0-9a-f]{64}")
THUMBNAIL_SIDE = 384  # pixels: twice the largest tile, for screens with two pixels per point
SIGNATURES = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"RIFF", "image/webp"))


def static_file(name: str) -> Response:
    """A style sheet, script or icon; the names are those of the folder and nothing else."""
    names = {file.name: file for file in STATIC.iterdir()}
    if name not in names:
        return Response(status_code=404)
    headers = {**FILE_HEADERS, "Cache-Control": "no-cache"}
    return FileResponse(names[name], media_type=STATIC_TYPES[names[name].suffix], headers=headers)


def stored_picture(pictures: PictureFolder, picture_hash: str) -> Response:
    """A stored picture; the browser may keep it for ever, since its name is its content."""
    try:
        return _picture(_read(pictures, picture_hash))
    except FileNotFoundError:
        return Response(status_code=404)


def stored_thumbnail(stores: Stores, picture_hash: str) -> Response:
    """The same picture as a grid needs it: made at its first use, under the limits of every picture, and kept.

    Blocks. One that cannot be made smaller is sent as it is.
    """
    thumbnails = PictureFolder(stores.settings.thumbnails)
    with contextlib.suppress(FileNotFoundError):
        return _picture(_read(thumbnails, picture_hash))
    try:
        whole = _read(stores.pictures, picture_hash)
    except FileNotFoundError:
        return Response(status_code=404)
    with contextlib.suppress(Unavailable):
        small = decoders_of(stores).shrink(whole, side=THUMBNAIL_SIDE)
        if small.status is PictureStatus.STORED:
            thumbnails.keep(picture_hash, small.content)
            return _picture(small.content)
    return _picture(whole)


def _read(folder: PictureFolder, picture_hash: str) -> bytes:
    """Raises FileNotFoundError, also for what is no hash."""
    if PICTURE_HASH.fullmatch(picture_hash) is None:
        raise FileNotFoundError
    return folder.read(picture_hash)


def _picture(content: bytes) -> Response:
    media_type = next((kind for start, kind in SIGNATURES if content.startswith(start)), "application/octet-stream")
    headers = {**FILE_HEADERS, "Cache-Control": "private, max-age=31536000, immutable"}
    return Response(content, media_type=media_type, headers=headers)
