"""A request of the demo page -> who looks, as whom, and in which language; and whom the page may act for."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from app.errors import NotAllowed
from app.pages.forms import usable_id, usable_number
from app.pages.parts import DEMO_SESSION_SECONDS, parts_of
from app.pages.rendering import set_cookie
from app.pages.safety import refuse_foreign_page
from app.pages.words import words_of
from app.recommend.wording import language_of

PERSON, VISITOR = "person-", "visitor-"
COOKIE, PATH = "tuwen_demo", "/demo"
RADII_KM = (2, 5, 10)
RADIUS_DIGITS = 3


@dataclass(frozen=True, slots=True)
class Looking:
    """Who looks, as whom, and in which language."""

    visitor_id: str
    user_id: str
    language: str
    words: Mapping[str, str]
    category: str | None
    city: str | None
    radius_km: int | None  # around the centre of the city; None = all that is said to be in it


def visitor_of(request: Request) -> str | None:
    """The visitor of the page's session."""
    return parts_of(request).demo_seal.open(request.cookies.get(COOKIE))


def require_session(request: Request) -> None:
    """Raises NotAllowed without a session of the page, or where the page is off."""
    if not parts_of(request).stores.settings.demo or visitor_of(request) is None:
        raise NotAllowed("open /demo first")


def _may_act_as(user_id: str, visitor_id: str) -> bool:
    return user_id.startswith(PERSON) or user_id == visitor_id


def require_actor(request: Request, user_id: str) -> None:
    """Raises NotAllowed for a user the page may not act for, and for a write from another site's page."""
    refuse_foreign_page(request)
    if not _may_act_as(user_id, visitor_of(request) or ""):
        raise NotAllowed("the demo page acts for simulated people and for its own visitor only")


def looking_of(request: Request, visitor_id: str | None = None) -> Looking:
    """Who looks; by the session where no visitor is given."""
    visitor_id = visitor_id or visitor_of(request) or ""
    query = request.query_params
    asked = usable_id(query.get("user", ""))
    radius_km = usable_number(query.get("radius", ""), digits=RADIUS_DIGITS)
    language = language_of(query.get("lang"), request.headers.get("accept-language"))
    return Looking(
        visitor_id=visitor_id,
        user_id=asked if _may_act_as(asked, visitor_id) else visitor_id,
        language=language,
        words=words_of(language),
        category=query.get("category") or None,
        city=query.get("city") or None,
        radius_km=radius_km if radius_km in RADII_KM else None,
    )


def new_visitor_id() -> str:
    """An id nobody has had."""
    return VISITOR + secrets.token_hex(8)


def keep_visitor(response: Response, request: Request, visitor_id: str) -> None:
    """Let the browser come back as the same visitor."""
    seal = parts_of(request).demo_seal.seal(visitor_id)
    set_cookie(response, request, name=COOKIE, value=seal, path=PATH, seconds=DEMO_SESSION_SECONDS)
