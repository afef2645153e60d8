"""`/posts/{post_id}/picture`: picture bytes in and out, as they are."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Header
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from app.api.answers import PictureAnswer
from app.api.audited import note
from app.api.guarded import GuardedRoute, lane
from app.api.json_bodies import json_answer, refuse_encoded
from app.api.keys import CLIENT, OPS
from app.api.schemas import PathId
from app.api.state import PICTURE_LANE, READING_LANE, State
from app.domain import PictureStatus
from app.errors import BadInput, TooLarge, UnknownId
from app.intake.pictures import LARGER_JPEG
from app.intake.posts import save_picture
from app.storage.posts import posts_by_id

SIGNATURES = ((b"\x89PNG\r\n\x1a\n", "image/png"), (b"\xff\xd8\xff", "image/jpeg"), (b"RIFF", "image/webp"))
MEDIA_TYPES = ("image/jpeg", "image/png", "image/webp", "application/octet-stream")
UNREADABLE = "the picture cannot be read: send a whole JPEG, PNG or WebP file; the post keeps what it had"
HEADERS = {
    "Cache-Control": "private, max-age=300",
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; sandbox",
}
BINARY = {"schema": {"type": "string", "format": "binary"}}
PICTURE_BODY = {"requestBody": {"required": True, "content": dict.fromkeys(MEDIA_TYPES, BINARY)}}
PICTURE_CONTENT = dict.fromkeys(MEDIA_TYPES, BINARY)

router = APIRouter(route_class=GuardedRoute, tags=["posts"])


@router.put(
    "/posts/{post_id:path}/picture",
    dependencies=[OPS],
    response_model=PictureAnswer,
    openapi_extra=lane(PICTURE_LANE) | PICTURE_BODY,
)
async def put_picture(post_id: PathId, request: Request, state: State) -> Response:
    """Give a post its picture: the bytes of a JPEG, PNG or WebP file. One that is no good leaves the post as it was."""
    _require_picture(request)
    status = await save_picture(state.stores, post_id, await request.body())
    if status is PictureStatus.TOO_LARGE:
        settings = state.stores.settings
        limits = f"{settings.picture_max_bytes} bytes and {settings.picture_max_megapixels:g} megapixels"
        larger = f"(a JPEG {settings.picture_max_megapixels * LARGER_JPEG:g})"
        raise TooLarge(f"the picture is too large: at most {limits} {larger}; the post keeps what it had")
    if status is not PictureStatus.STORED:
        raise BadInput(UNREADABLE)
    note(request, after={"picture_status": status})
    content = {
        "post_id": post_id,
        "picture_status": status,
        "picture_url": picture_url(post_id, has_picture=True),
    }
    return json_answer(content)


@router.get(
    "/posts/{post_id:path}/picture",
    dependencies=[CLIENT],
    response_class=Response,
    responses={200: {"description": "the file", "content": PICTURE_CONTENT}, 304: {"description": "unchanged"}},
    openapi_extra=lane(READING_LANE),
)
async def get_picture(
    post_id: PathId, state: State, if_none_match: Annotated[str | None, Header(max_length=1000)] = None
) -> Response:
    """The picture of a post. Its ETag is the hash of its bytes."""
    post = (await posts_by_id(state.stores.database, [post_id])).get(post_id)
    if post is None or post.picture_hash is None:
        raise UnknownId("no such post, or it has no picture")
    headers = {**HEADERS, "ETag": f'"{post.picture_hash}"'}
    if _matches(if_none_match, post.picture_hash):
        return Response(status_code=304, headers=headers)
    file = state.stores.pictures.path(post.picture_hash)  # sent piece by piece: who reads slowly holds no whole of it
    try:
        media_type, size = await asyncio.to_thread(_looked_at, file)
    except FileNotFoundError:
        raise UnknownId("the picture was lost: send it again") from None
    return FileResponse(file, media_type=media_type, headers=headers, stat_result=size)


def picture_url(post_id: str, *, has_picture: bool) -> str | None:
    """Path of a post's picture under the API's address."""
    return f"/posts/{quote(post_id, safe='')}/picture" if has_picture else None


def _require_picture(request: Request) -> None:
    """Let only pictures through. Raises HTTPException 415."""
    media_type = request.headers.get("content-type", MEDIA_TYPES[-1]).partition(";")[0].strip().lower()
    if media_type not in MEDIA_TYPES:
        raise HTTPException(415, f"send the bytes of the file as one of {', '.join(MEDIA_TYPES)}")
    refuse_encoded(request)


def _looked_at(file: Path) -> tuple[str, os.stat_result]:
    """Media type and size of a stored picture. Raises FileNotFoundError."""
    with file.open("rb") as opened:
        start = opened.read(max(len(one) for one, _ in SIGNATURES))
        media_type = next((kind for signature, kind in SIGNATURES if start.startswith(signature)), MEDIA_TYPES[-1])
        return media_type, os.fstat(opened.fileno())


def _matches(if_none_match: str | None, picture_hash: str) -> bool:
    tags = [tag.strip().removeprefix("W/") for tag in (if_none_match or "").split(",")]
    return "*" in tags or f'"{picture_hash}"' in tags
