"""`/admin`: what serves, what it was made from, and why a user sees what he sees. Signed in to with the admin key."""

from __future__ import annotations

import hmac

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from app.candidates.generation import CURVES, GenerationFolder
from app.domain import Role
from app.errors import NotAllowed, UnknownId
from app.pages.board import board_values, person_values
from app.pages.files import stored_picture
from app.pages.forms import form_fields, usable_id
from app.pages.parts import ADMIN_SESSION_SECONDS, parts_of
from app.pages.rendering import go_to, page, set_cookie
from app.pages.safety import FILE_HEADERS, refuse_foreign_page
from app.storage.keys import find_key, list_keys, sha256_of
from app.storage.stores import Stores

COOKIE, PATH = "tuwen_admin", "/admin"
SECRET_CHARACTERS = 512
REFUSED = "This is no admin key."


async def _signed_in(request: Request) -> bool:
    """Whether the session is genuine and its key still good: revoking a key ends its sessions."""
    parts = parts_of(request)
    key_id = parts.admin_seal.open(request.cookies.get(COOKIE))
    if key_id is None:
        return False
    keys = await list_keys(parts.stores.database)
    return any(key.key_id == key_id and key.role is Role.ADMIN and key.revoked_at is None for key in keys)


async def _require_signed_in(request: Request) -> None:
    """Raises NotAllowed."""
    if not await _signed_in(request):
        raise NotAllowed("sign in at /admin first")


async def _admin_key_id(stores: Stores, secret: str) -> str | None:
    """The id of a good admin key."""
    digest = sha256_of(secret[:SECRET_CHARACTERS])
    key = await find_key(stores.database, digest)
    good = key is not None and hmac.compare_digest(key.secret_sha256, digest)
    return key.key_id if key and good and key.role is Role.ADMIN and key.revoked_at is None else None


router = APIRouter(include_in_schema=False)
inside = APIRouter(prefix=PATH, include_in_schema=False, dependencies=[Depends(_require_signed_in)])


@router.get(PATH)
async def board(request: Request) -> Response:
    """The first page, or the way in."""
    if not await _signed_in(request):
        return _sign_in_page("", status=200)
    parts = parts_of(request)
    user_id = usable_id(request.query_params.get("user", ""))
    values = await board_values(parts)
    values |= await person_values(parts, user_id) if user_id else {"user_id": ""}
    return page("admin.html", values)


@router.post(f"{PATH}/sign-in")
async def sign_in(request: Request) -> Response:
    """Exchange the admin key for a session; who fails too often has to wait."""
    refuse_foreign_page(request)
    parts = parts_of(request)
    caller = request.client.host if request.client else "unknown"
    wait_seconds = parts.sign_ins.wait_seconds(caller)
    if wait_seconds:
        response = _sign_in_page(f"Too many attempts. Try again in {wait_seconds:.0f} seconds.", status=429)
        response.headers["Retry-After"] = f"{wait_seconds:.0f}"
        return response
    key_id = await _admin_key_id(parts.stores, (await form_fields(request)).get("key", ""))
    if key_id is None:
        parts.sign_ins.failed(caller)
        return _sign_in_page(REFUSED, status=403)
    response = go_to(PATH)
    session = parts.admin_seal.seal(key_id)
    set_cookie(response, request, name=COOKIE, value=session, path=PATH, seconds=ADMIN_SESSION_SECONDS)
    return response


@inside.post("/sign-out")
def sign_out(request: Request) -> Response:
    """End the session in this browser."""
    refuse_foreign_page(request)
    response = go_to(PATH)
    response.delete_cookie(COOKIE, path=PATH, httponly=True, samesite="strict")
    return response


@inside.get("/pictures/{picture_hash}")
def picture(request: Request, picture_hash: str) -> Response:
    """A stored picture."""
    return stored_picture(parts_of(request).stores.pictures, picture_hash)


@inside.get("/generations/{generation}/report.png")
def curves(request: Request, generation: str) -> Response:
    """The training curves of a generation."""
    folder = GenerationFolder(parts_of(request).stores.settings.generations)
    try:
        file = folder.path(generation) / CURVES
    except UnknownId:
        return Response(status_code=404)
    if not file.is_file():
        return Response(status_code=404)
    return FileResponse(
        file, media_type="image/png", headers={**FILE_HEADERS, "Cache-Control": "private, max-age=3600"}
    )


def _sign_in_page(message: str, *, status: int) -> Response:
    return page("sign_in.html", {"message": message, "language": "en"}, status=status)
