"""`/admin/map`: the posts as the network sees them, on a plane: what lies together is alike to it."""

from __future__ import annotations

import asyncio
from datetime import timedelta

import orjson
from starlette.requests import Request
from starlette.responses import Response

from app.candidates.projection import SpaceMap, space_map
from app.candidates.view import CandidateView
from app.domain import BehaviourKind
from app.errors import Unavailable
from app.pages.admin.door import inside
from app.pages.admin.frame import THUMBNAILS, Frame, frame_of
from app.pages.admin.tiles import post_url
from app.pages.safety import PAGE_HEADERS
from app.pages.strips import picture_url
from app.storage.rates import Rates, rates_of_posts

RATED_OVER = timedelta(days=30)
SHOWN_ENOUGH = 10  # below it a rate says nothing


@inside.get("/map")
async def map_page(request: Request) -> Response:
    """The frame of the map; its script fetches the places."""
    frame = frame_of(request)
    generation = frame.parts.candidates.generation
    values = {"generation": generation.manifest.generation if generation else None}
    return frame.page("map.html", values, room="map", title=frame.t("Map of the posts"))


@inside.get("/map.json")
async def places(request: Request) -> Response:
    """Every post of the map: place, picture, category, click rate. Raises Unavailable before the first generation."""
    frame = frame_of(request)
    view = frame.parts.candidates.view()
    found = await asyncio.to_thread(space_map, view)
    rates = await _rates(frame, [view.columns.post_ids[row] for row in found.rows])
    content = orjson.dumps(_content(frame, view, found, rates))
    return Response(content, media_type="application/json", headers=dict(PAGE_HEADERS))


def _content(frame: Frame, view: CandidateView, found: SpaceMap, rates: dict[str, Rates]) -> dict[str, object]:
    columns = view.columns
    categories = sorted({columns.category.word(row) or "" for row in found.rows.tolist()})
    return {
        "generation": view.generation,
        "kept_share": found.kept_share,
        "living": found.living,
        "categories": [frame.t(one) if one else frame.t("without a category") for one in categories],
        "posts": [
            {
                "x": round(x, 4),
                "y": round(y, 4),
                "title": columns.titles[row],
                "url": post_url(columns.post_ids[row]),
                "picture": picture_url(columns.picture_hashes[row], THUMBNAILS),
                "category": categories.index(columns.category.word(row) or ""),
                "rate": _rate(rates.get(columns.post_ids[row])),
            }
            for row, (x, y) in zip(found.rows.tolist(), found.places.tolist(), strict=True)
        ],
    }


def _rate(rates: Rates | None) -> float | None:
    return rates.rate(BehaviourKind.CLICK) if rates and rates.shown >= SHOWN_ENOUGH else None


async def _rates(frame: Frame, post_ids: list[str]) -> dict[str, Rates]:
    try:
        return await rates_of_posts(frame.parts.stores.database, post_ids, since=frame.now - RATED_OVER)
    except Unavailable:
        return {}
