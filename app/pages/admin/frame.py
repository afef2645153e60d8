"""A signed-in request -> what every room has around it: language, time zone, navigation, and the page as an answer."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, tzinfo
from typing import Any
from urllib.parse import urlencode
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from app.domain import BehaviourKind
from app.errors import Unavailable
from app.pages.parts import PageParts, parts_of
from app.pages.rendering import page
from app.pages.strips import ago
from app.pages.words import Translate, translator
from app.recommend.wording import language_of
from app.storage.audit import Change, write_audit

PATH = "/admin"
PICTURES, THUMBNAILS = f"{PATH}/pictures", f"{PATH}/thumbnails"
LANGUAGE_COOKIE, ZONE_COOKIE = "tuwen_admin_language", "tuwen_admin_zone"
ZONES = (
    "UTC",
    "Asia/Shanghai",
    "Asia/Tokyo",
    "Asia/Kolkata",
    "Europe/London",
    "Europe/Berlin",
    "America/New_York",
    "America/Los_Angeles",
)

logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Room:
    """A place of the navigation."""

    name: str
    path: str
    title: str


ROOMS: tuple[tuple[str, tuple[Room, ...]], ...] = (
    ("Watch", (Room("overview", PATH, "Overview"), Room("jobs", f"{PATH}/jobs", "Jobs"))),
    ("Content", (Room("posts", f"{PATH}/posts", "Posts"), Room("map", f"{PATH}/map", "Map"))),
    ("People", (Room("users", f"{PATH}/users", "Users"),)),
    (
        "Model",
        (Room("training", f"{PATH}/training", "Training"), Room("generations", f"{PATH}/generations", "Generations")),
    ),
    (
        "Records",
        (
            Room("letters", f"{PATH}/dead-letters", "Dead letters"),
            Room("audit", f"{PATH}/audit", "Audit"),
            Room("keys", f"{PATH}/keys", "Keys"),
        ),
    ),
)


@dataclass(frozen=True)
class Frame:
    """One request for a page of the console, and in whose words and time it is answered."""

    request: Request
    parts: PageParts
    key_id: str  # of the key that is signed in
    language: str
    zone: tzinfo
    zone_name: str
    now: datetime  # UTC, aware

    @property
    def actor(self) -> str:
        """Who changes something here, for the audit."""
        return f"{self.key_id} (console)"

    @property
    def t(self) -> Translate:
        """English -> the language of the page."""
        return translator(self.language)

    def time(self, moment: datetime | None, *, with_ago: bool = False) -> Markup:
        """A moment in the page's zone, named; a dash for none."""
        if moment is None:
            return Markup("–")
        local = moment.astimezone(self.zone)
        words = f"{local:%Y-%m-%d %H:%M} {zone_label(local)}"
        if with_ago:
            words += f" · {self.ago(moment)}"
        return Markup('<time datetime="{}">{}</time>').format(moment.isoformat(), words)

    def ago(self, moment: datetime | None) -> str:
        """How long ago, in words."""
        if moment is None:
            return "–"
        words = ago(moment, self.now)
        return self.t("just now") if words == "now" else self.t("{time} ago", time=words)

    def kind(self, kind: BehaviourKind | str) -> str:
        """A behaviour's name."""
        return self.t(str(kind))

    def address(self, **changes: object) -> str:
        """This page's address with other values in its query; None takes one out."""
        query = {**self.request.query_params, **changes}
        return "?" + urlencode({name: value for name, value in query.items() if value not in (None, "")})

    async def note(
        self,
        verb: str,
        subject: str,
        *,
        before: Mapping[str, Any] | None = None,
        after: Mapping[str, Any] | None = None,
    ) -> None:
        """Write down what was changed here; what cannot be written is in the log of the service instead."""
        change = Change(self.actor, verb, subject, before, after)
        try:
            await write_audit(self.parts.stores.database, change)
        except Unavailable:
            logger.error("not written into the audit: %s by %s on %s", verb, self.key_id, subject)

    def page(
        self, template: str, values: Mapping[str, object], *, room: str, title: str, status: int = 200
    ) -> Response:
        """A page of the console."""
        around = {
            "frame": self,
            "t": self.t,
            "language": self.language,
            "zone_name": self.zone_name,
            "zones": ZONES,
            "rooms": ROOMS,
            "room": room,
            "title": title,
            "here": self.request.url.path + ("?" + self.request.url.query if self.request.url.query else ""),
        }
        return page(f"admin/{template}", {**around, **values}, status=status)


def zone_label(local: datetime) -> str:
    """`UTC`, `UTC+8`, `UTC+5:30`: what every reader understands, whatever the zone calls itself."""
    offset = local.utcoffset()
    minutes = int(offset.total_seconds() // 60) if offset else 0
    if not minutes:
        return "UTC"
    hours, rest = divmod(abs(minutes), 60)
    return f"UTC{'+' if minutes > 0 else '-'}{hours}" + (f":{rest:02d}" if rest else "")


def zone_of(name: str | None) -> tuple[str, tzinfo]:
    """The zone of that name if it is one of ours and this machine knows it; else UTC."""
    if name in ZONES and name != "UTC":
        try:
            return str(name), ZoneInfo(str(name))
        except ZoneInfoNotFoundError:
            pass
    return "UTC", UTC


def frame_of(request: Request) -> Frame:
    """The frame of a signed-in request."""
    cookies = request.cookies
    zone_name, zone = zone_of(cookies.get(ZONE_COOKIE))
    return Frame(
        request=request,
        parts=parts_of(request),
        key_id=request.state.admin_key_id,
        language=language_of(cookies.get(LANGUAGE_COOKIE), request.headers.get("accept-language")),
        zone=zone,
        zone_name=zone_name,
        now=datetime.now(UTC),
    )
