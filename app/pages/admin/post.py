"""`/admin/post`: one post: what it is, what it is like, how people take it, and hiding, pinning or changing it."""

from __future__ import annotations

from datetime import timedelta

from pydantic import ValidationError
from starlette.requests import Request
from starlette.responses import Response

from app.candidates.nearest import neighbours_of, twins_of
from app.candidates.view import CandidateView
from app.domain import BEHAVIOUR_KINDS, Post
from app.errors import Unavailable, UnknownId
from app.intake.fields import TAGS, TITLE_CHARACTERS, WORD_CHARACTERS
from app.intake.posts import PostRecord, change_post, set_hidden, set_pinned
from app.pages.admin.door import inside
from app.pages.admin.frame import PICTURES, Frame, frame_of
from app.pages.admin.tiles import alike_tiles, percent, post_url, user_url, why_url
from app.pages.forms import FORM_BYTES, form_fields, usable_id
from app.pages.rendering import go_to
from app.pages.strips import picture_url
from app.storage.posts import posts_by_id
from app.storage.rates import Rates, rates_of_posts, showings_of_post

NEIGHBOURS = 18
RATED_OVER = timedelta(days=30)
EDITED = ("title", "category", "city", "tags")
EDITED_CHARACTERS = TITLE_CHARACTERS + 2 * WORD_CHARACTERS + TAGS * (WORD_CHARACTERS + 2)  # tags are parted by ", "
EDIT_FORM_BYTES = FORM_BYTES + 12 * EDITED_CHARACTERS  # a character may be four bytes, each written as %XX


@inside.get("/post")
async def post_page(request: Request) -> Response:
    """Everything about one post."""
    frame = frame_of(request)
    post = await _post(frame, request.query_params.get("id", ""))
    return await _shown(frame, post, "")


@inside.post("/post/hide")
async def hide(request: Request) -> Response:
    """Hide the post from every recommendation, or show it again; at once."""
    frame = frame_of(request)
    fields = await form_fields(request)
    post = await _post(frame, fields.get("id", ""))
    hidden = fields.get("hidden") == "yes"
    if await set_hidden(frame.parts.stores, post.post_id, hidden=hidden):
        await frame.note("hide a post", post.post_id, before={"hidden": not hidden}, after={"hidden": hidden})
    await frame.parts.candidates.see_changes()
    return go_to(post_url(post.post_id))


@inside.post("/post/pin")
async def pin(request: Request) -> Response:
    """Let the post come first for everybody, or no longer; at once."""
    frame = frame_of(request)
    fields = await form_fields(request)
    post = await _post(frame, fields.get("id", ""))
    pinned = fields.get("pinned") == "yes"
    if await set_pinned(frame.parts.stores, post.post_id, pinned=pinned):
        await frame.note("pin a post", post.post_id, before={"pinned": not pinned}, after={"pinned": pinned})
    await frame.parts.candidates.see_changes()
    return go_to(post_url(post.post_id))


@inside.post("/post/edit")
async def edit(request: Request) -> Response:
    """Change title, category, city or tags; what cannot be is said beside the form."""
    frame = frame_of(request)
    fields = await form_fields(request, max_bytes=EDIT_FORM_BYTES)
    post = await _post(frame, fields.get("id", ""))
    try:
        record = _edited(post, fields)
    except ValidationError as error:
        first = error.errors(include_input=False, include_context=False)[0]
        problem = f"{frame.t(str(first['loc'][0]))}: {first['msg']}"
        return await _shown(frame, post, problem, status=422)
    await change_post(frame.parts.stores, post.post_id, lambda now: _edited(now, fields))
    before, after = ({name: getattr(one, name) for name in EDITED} for one in (post, record))
    await frame.note("edit a post", post.post_id, before=before, after=after)
    await frame.parts.candidates.see_changes()
    return go_to(post_url(post.post_id))


def _edited(post: Post, fields: dict[str, str]) -> PostRecord:
    """The post with what was typed. Raises ValidationError."""
    values = {name: getattr(post, name) for name in PostRecord.model_fields}
    typed = {name: fields.get(name, "").strip() for name in EDITED}
    words = typed.pop("tags")
    tags = (
        list(post.tags) if words == _tags_text(post) else [tag.strip() for tag in words.replace("，", ",").split(",")]
    )
    return PostRecord.model_validate({**values, **typed, "tags": [tag for tag in tags if tag]})


def _tags_text(post: Post) -> str:
    """The tags as the form shows them."""
    return ", ".join(post.tags).strip()


async def _post(frame: Frame, typed: str) -> Post:
    """Raises UnknownId."""
    post_id = usable_id(typed)
    found = await posts_by_id(frame.parts.stores.database, [post_id]) if post_id else {}
    if post_id not in found:
        raise UnknownId("no such post: it was never sent, or it was deleted")
    return found[post_id]


async def _shown(frame: Frame, post: Post, problem: str, *, status: int = 200) -> Response:
    values = {
        "post": post,
        "picture_url": picture_url(post.picture_hash, PICTURES),
        "problem": problem,
        **_likeness(frame, post),
        **await _reception(frame, post),
    }
    return frame.page("post.html", values, room="posts", title=post.title, status=status)


def _likeness(frame: Frame, post: Post) -> dict[str, object]:
    """Neighbours and near-duplicates; none before the post is encoded."""
    try:
        view: CandidateView | None = frame.parts.candidates.view()
    except Unavailable:
        view = None
    if view is None or post.post_id not in view.row_of:
        return {"neighbours": [], "twins": [], "is_encoded": False, "quality": None}
    found = neighbours_of(view, post.post_id, count=NEIGHBOURS)
    tiles = alike_tiles(view, found)
    twins = set(twins_of(view, post.post_id, found))
    return {
        "neighbours": tiles,
        "twins": [tile for tile in tiles if tile.post_id in twins],
        "is_encoded": True,
        "quality": float(view.quality[view.row_of[post.post_id]]),
    }


async def _reception(frame: Frame, post: Post) -> dict[str, object]:
    """How often it was shown and acted on, and to whom it was shown last."""
    database, since = frame.parts.stores.database, frame.now - RATED_OVER
    try:
        rates = (await rates_of_posts(database, [post.post_id], since=since))[post.post_id]
        showings = await showings_of_post(database, post.post_id, since=since)
    except Unavailable:
        return {"rates": None, "rows": [], "showings": []}
    rows = [(kind, rates.acted.get(kind, 0), _percent(rates, kind)) for kind in BEHAVIOUR_KINDS]
    linked = [(one, user_url(one.user_id), why_url(one.user_id, post.post_id)) for one in showings]
    return {"rates": rates, "rows": rows, "showings": linked}


def _percent(rates: Rates, kind: object) -> str:
    rate = rates.rate(kind)  # type: ignore[arg-type]
    return "–" if rate is None else f"{percent(rate)} %"
