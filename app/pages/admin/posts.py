"""`/admin/posts`: the catalogue as pictures, by words or by likeness: with a title, a picture, or both."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response

from app.candidates.nearest import nearest
from app.domain import BEHAVIOUR_KINDS, PictureStatus, Post
from app.errors import BadInput, Unavailable
from app.intake.decoders import decoders_of
from app.pages.admin.door import inside
from app.pages.admin.frame import Frame, frame_of
from app.pages.admin.sheets import sheet
from app.pages.admin.tiles import alike_tiles, tiles_of
from app.pages.forms import usable_number
from app.pages.rendering import page
from app.storage.browse import PostSearch, PostState, find_posts, post_choices
from app.storage.rates import Rates, rates_of_posts

POSTS_PER_PAGE = 36
PAGES_AT_MOST = 500
PAGE_DIGITS = 5
SHEET_ROWS_AT_MOST = 50_000
ALIKE = 24
TITLE_CHARACTERS = 1000
RATED_OVER = timedelta(days=30)


@inside.get("/posts")
async def posts(request: Request) -> Response:
    """A page of the catalogue, latest published first."""
    frame = frame_of(request)
    search, number = _search_of(frame), _page_of(frame)
    database = frame.parts.stores.database
    found, count = await find_posts(database, search, limit=POSTS_PER_PAGE, offset=number * POSTS_PER_PAGE)
    pages = min(PAGES_AT_MOST, -(-count // POSTS_PER_PAGE))
    values = {
        "search": search,
        "states": list(PostState),
        "choices": await post_choices(database),
        "tiles": tiles_of(found, await rates_in_time(frame, found)),
        "count": count,
        "number": number,
        "pages": pages,
    }
    return frame.page("posts.html", values, room="posts", title=frame.t("Posts"))


@inside.get("/posts.csv")
async def posts_sheet(request: Request) -> Response:
    """The posts that were searched for, with their showings and acts of the last 30 days."""
    frame = frame_of(request)
    found, _ = await find_posts(frame.parts.stores.database, _search_of(frame), limit=SHEET_ROWS_AT_MOST, offset=0)
    rates = await rates_in_time(frame, found)
    columns = ("post_id", "title", "category", "city", "tags", "author_id", "published_at", "hidden", "pinned_at")
    rows = [
        (
            *(post.post_id, post.title, post.category, post.city, ", ".join(post.tags), post.author_id),
            *(post.published_at, post.hidden, post.pinned_at),
            *_counts(rates.get(post.post_id)),
        )
        for post in found
    ]
    return sheet("tuwen-posts", (*columns, "shown_30_days", *BEHAVIOUR_KINDS), rows)


def _counts(rates: Rates | None) -> list[int | None]:
    """Showings and acts of each kind; nothing where they could not be counted in time."""
    if rates is None:
        return [None] * (1 + len(BEHAVIOUR_KINDS))
    return [rates.shown, *(rates.acted.get(kind, 0) for kind in BEHAVIOUR_KINDS)]


@inside.get("/alike")
def alike_page(request: Request) -> Response:
    """Where one searches by picture and title."""
    frame = frame_of(request)
    return frame.page("alike.html", {}, room="posts", title=frame.t("Search by likeness"))


@inside.post("/alike")
async def alike(request: Request) -> Response:
    """The posts most like a title (in the address) and a picture (the body), as the serving network sees them."""
    frame = frame_of(request)
    title = request.query_params.get("title", "").strip()[:TITLE_CHARACTERS]
    picture = await request.body()
    try:
        tiles = await _alike(frame, title, picture)
    except (BadInput, Unavailable) as problem:
        return _fragment(frame, [], problem.message)
    return _fragment(frame, tiles, "")


async def _alike(frame: Frame, title: str, picture: bytes) -> list[object]:
    parts = frame.parts
    if not title and not picture:
        raise BadInput(frame.t("Choose a picture, write a title, or both."))
    view, checked = parts.candidates.view(), None
    if picture:
        decoded = await asyncio.to_thread(decoders_of(parts.stores).decode, picture)
        if decoded.status is not PictureStatus.STORED:
            raise BadInput(frame.t("This picture cannot be used: {status}.", status=frame.t(decoded.status)))
        checked = decoded.content
    vector = await asyncio.to_thread(parts.queries.vector, view.network, title=title, picture=checked)
    found = await asyncio.to_thread(nearest, view, vector, view.alive, count=ALIKE)
    return list(alike_tiles(view, found))


def _fragment(frame: Frame, tiles: list[object], problem: str) -> HTMLResponse:
    return page("admin/alike_tiles.html", {"tiles": tiles, "problem": problem, "t": frame.t})


async def rates_in_time(frame: Frame, posts: list[Post]) -> dict[str, Rates]:
    """Rates of the posts over the last 30 days; none where counting takes too long."""
    try:
        ids = [post.post_id for post in posts]
        return await rates_of_posts(frame.parts.stores.database, ids, since=frame.now - RATED_OVER)
    except Unavailable:
        return {}


def _search_of(frame: Frame) -> PostSearch:
    query = frame.request.query_params
    words = {
        name: "".join(filter(str.isprintable, query.get(name, "")))[:200] for name in ("words", "category", "city")
    }
    state = query.get("state", "")
    return PostSearch(
        words=words["words"].strip(),
        category=words["category"],
        city=words["city"],
        state=PostState(state) if state in list(PostState) else PostState.ANY,
    )


def _page_of(frame: Frame) -> int:
    number = usable_number(frame.request.query_params.get("page", ""), digits=PAGE_DIGITS) or 0
    return min(number, PAGES_AT_MOST - 1)
