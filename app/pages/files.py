"""Names and hashes -> the files that pages show: what ships with the code, and stored pictures."""

from __future__ import annotations

import re
from pathlib import Path

from starlette.responses import FileResponse, Response

from app.pages.safety import FILE_HEADERS
from app.storage.pictures import PictureFolder

STATIC = Path(__file__).parent / "static"
STATIC_TYPES = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
PICTURE_HASH = re.compile(r"[0-9a-f]{64}")
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
    if PICTURE_HASH.fullmatch(picture_hash) is None:
        return Response(status_code=404)
    try:
        content = pictures.read(picture_hash)
    except FileNotFoundError:
        return Response(status_code=404)
    media_type = next((kind for start, kind in SIGNATURES if content.startswith(start)), "application/octet-stream")
    headers = {**FILE_HEADERS, "Cache-Control": "private, max-age=31536000, immutable"}
    return Response(content, media_type=media_type, headers=headers)
