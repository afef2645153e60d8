"""The way into the console: an admin key for a session, what a session may set, and the files its pages show."""

from __future__ import annotations

import asyncio
from math import ceil

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import FileResponse, Response

from app.candidates.generation import CURVES
from app.domain import Role
from app.errors import NotAllowed, TooMany, Unauthenticated, UnknownId
from app.pages.admin.frame import LANGUAGE_COOKIE, PATH, ZONE_COOKIE, zone_of
from app.pages.files import stored_picture, stored_thumbnail
from app.pages.forms import form_fields
from app.pages.parts import ADMIN_SESSION_SECONDS, parts_of
from app.pages.rendering import go_to, page, set_cookie
from app.pages.safety import FILE_HEADERS, refuse_foreign_page
from app.pages.words import translator
from app.recommend.request import Language
from app.recommend.wording import language_of
from app.storage.keys import list_keys

COOKIE = "tuwen_admin"
PREFERENCE_SECONDS = 400 * 86_400
READING = ("GET", "HEAD")


async def _signed_in(request: Request) -> str | None:
    """The id of the session's key, if it is genuine and still good: revoking a key ends its sessions."""
    parts = parts_of(request)
    key_id = parts.admin_seal.open(request.cookies.get(COOKIE))
    if key_id is None:
        return None
    keys = await list_keys(parts.stores.database)
    good = any(key.key_id == key_id and key.role is Role.ADMIN and key.revoked_at is None for key in keys)
    return key_id if good else None


async def require_signed_in(request: Request) -> None:
    """The guard of every room: a good session, and no writing from foreign pages. Raises NotAllowed."""
    if request.method not in READING:
        refuse_foreign_page(request)
    key_id = await _signed_in(request)
    if key_id is None:
        raise NotAllowed("sign in at /admin first")
    request.state.admin_key_id = key_id


router = APIRouter(include_in_schema=False)
inside = APIRouter(prefix=PATH, include_in_schema=False, dependencies=[Depends(require_signed_in)])


async def sign_in_page(request: Request) -> Response | None:
    """The way in for who is not signed in; None for who is."""
    key_id = await _signed_in(request)
    if key_id is None:
        return _sign_in_page(request, "", status=200)
    request.state.admin_key_id = key_id
    return None


@router.post(f"{PATH}/sign-in")
async def sign_in(request: Request) -> Response:
    """Exchange the admin key for a session; where many wrong ones come from, only keys that are known are looked at."""
    refuse_foreign_page(request)
    parts = parts_of(request)
    secret = (await form_fields(request)).get("key", "")
    try:
        owner = await parts.keys.caller(secret, address=request.client.host if request.client else "")
    except TooMany as problem:
        wait = f"{ceil(float(str(problem.facts['wait_seconds'])))}"
        response = _sign_in_page(request, "Too many attempts. Try again in {seconds} seconds.", status=429, wait=wait)
        response.headers["Retry-After"] = wait
        return response
    except Unauthenticated:
        owner = None
    if owner is None or owner.role is not Role.ADMIN:
        return _sign_in_page(request, "This is no admin key.", status=403)
    response = go_to(PATH)
    session = parts.admin_seal.seal(owner.key_id)
    set_cookie(response, request, name=COOKIE, value=session, path=PATH, seconds=ADMIN_SESSION_SECONDS)
    return response


@inside.post("/sign-out")
def sign_out(request: Request) -> Response:
    """End the session in this browser."""
    response = go_to(PATH)
    response.delete_cookie(COOKIE, path=PATH, httponly=True, samesite="strict")
    return response


@router.get(f"{PATH}/preferences")
def preferences(request: Request) -> Response:
    """Choose language and time zone, then go back to the page it was chosen on."""
    query = request.query_params
    back = query.get("back", "")
    here = back == PATH or back.startswith((f"{PATH}/", f"{PATH}?"))
    response = go_to(back if here and back.isprintable() and "\\" not in back else PATH)
    chosen = {LANGUAGE_COOKIE: query.get("language"), ZONE_COOKIE: query.get("zone")}
    usable = {LANGUAGE_COOKIE: chosen[LANGUAGE_COOKIE] in list(Language), ZONE_COOKIE: True}
    for name, value in chosen.items():
        if value and usable[name]:
            value = zone_of(value)[0] if name == ZONE_COOKIE else value
            set_cookie(response, request, name=name, value=value, path=PATH, seconds=PREFERENCE_SECONDS)
    return response


@inside.get("/pictures/{picture_hash}")
def picture(request: Request, picture_hash: str) -> Response:
    """A stored picture."""
    return stored_picture(parts_of(request).stores.pictures, picture_hash)


@inside.get("/thumbnails/{picture_hash}")
def thumbnail(request: Request, picture_hash: str) -> Response:
    """The same, as a grid needs it."""
    return stored_thumbnail(parts_of(request).stores, picture_hash)


@inside.get("/generations/{generation}/report.png")
async def curves(request: Request, generation: str) -> Response:
    """The training curves of a generation."""
    try:
        file = await asyncio.to_thread(parts_of(request).generations.path, generation) / CURVES
    except UnknownId:
        return Response(status_code=404)
    if not file.is_file():
        return Response(status_code=404)
    return FileResponse(
        file, media_type="image/png", headers={**FILE_HEADERS, "Cache-Control": "private, max-age=3600"}
    )


def _sign_in_page(request: Request, message: str, *, status: int, wait: str = "") -> Response:
    language = language_of(request.cookies.get(LANGUAGE_COOKIE), request.headers.get("accept-language"))
    t = translator(language)
    message = t(message, seconds=wait) if wait else t(message)
    return page("sign_in.html", {"message": message, "language": language, "t": t}, status=status)
