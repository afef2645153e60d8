"""`/admin/why`: why did this user see this post, or why does he not: answered on one page."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response

from app.candidates.view import CandidateView
from app.domain import Act, Post, ShownPost
from app.errors import Unavailable
from app.pages.admin.door import inside
from app.pages.admin.frame import THUMBNAILS, Frame, frame_of
from app.pages.admin.preview import preview_of
from app.pages.admin.tiles import percent, post_url, user_url
from app.pages.forms import usable_id
from app.pages.rendering import notice
from app.pages.strips import DELETED_TITLE, picture_url
from app.recommend.recommend import recommend
from app.recommend.why import Barred, WhyPost, why_post
from app.storage.posts import posts_by_id
from app.storage.rates import Showing, showings_to_user
from app.storage.user_state import UserState, load_user_state

REFERENCES_SHOWN = 8
PAGE = 20  # posts of the page on which it is looked for
BARRED_WORDS = {
    Barred.NOT_ENCODED: "The post has no vector yet: it is unknown, or waits to be encoded.",
    Barred.NOT_ALIVE: "The post is hidden or deleted, or waits for its new vector.",
    Barred.EXPIRED: "The post has expired.",
    Barred.SEEN: "The post was shown to this user already; a request may bring it back with include_seen.",
    Barred.REJECTED: "The user said that he is not interested in it.",
    Barred.OWN: "The post is the user's own.",
    Barred.EXCLUDED: "Another rule of serving keeps the post from this user.",
}


@inside.get("/why")
async def why(request: Request) -> Response:
    """One user, one post."""
    frame = frame_of(request)
    user_id, post_id = (usable_id(request.query_params.get(name, "")) for name in ("user", "post"))
    title = frame.t("Why this post?")
    if not user_id or not post_id:
        message = frame.t("Name a user and a post: ?user=…&post=…")
        return notice(title, message, status=404, language=frame.language)
    try:
        view = frame.parts.candidates.view()
    except Unavailable as problem:
        return notice(title, problem.message, status=503, language=frame.language)
    values = await _values(frame, view, user_id, post_id)
    return frame.page("why.html", values, room="users", title=title)


async def _values(frame: Frame, view: CandidateView, user_id: str, post_id: str) -> dict[str, object]:
    database = frame.parts.stores.database
    state = (await load_user_state(frame.parts.stores, user_id)).state
    showings, acts = await showings_to_user(database, user_id, post_id)
    moment = showings[0].shown_at if showings else frame.now
    before = known_before(state, post_id, moment) if showings else state
    found = why_post(view, before, user_id=user_id, post_id=post_id, moment=moment)
    shown = found.references[:REFERENCES_SHOWN]
    posts = await posts_by_id(database, {post_id, *(one.reference.post_id for one in shown)})
    return {
        "user_id": user_id,
        "post": posts.get(post_id),
        "post_id": post_id,
        "post_title": posts[post_id].title if post_id in posts else DELETED_TITLE,
        "picture": _picture,
        "urls": (user_url(user_id), post_url(post_id)),
        "post_url": post_url,
        "showings": showings,
        "acts": acts,
        "moment": moment,
        "generation": view.generation,
        "why": found,
        "barred": frame.t(BARRED_WORDS[found.barred]) if found.barred else "",
        "answer": _answer(frame, found, showings, acts, posts),
        "references": [(one, posts.get(one.reference.post_id)) for one in shown],
        "others": max(0, len(found.references) - len(shown)),
        "percent": percent,
        "now": await _place_now(frame, view, user_id, post_id),
    }


def known_before(state: UserState, post_id: str, moment: datetime) -> UserState:
    """What had been known of the user at that moment: showings, acts and seen posts before it. Peers are today's."""
    shown: list[ShownPost] = []
    for one in state.shown:
        if one.shown_at < moment:
            shown.append(replace(one, acts=tuple(act for act in one.acts if act.at < moment)))
    seen_later = {one.post_id for one in state.shown if one.shown_at >= moment} - {one.post_id for one in shown}
    return replace(state, shown=tuple(shown), seen=state.seen - seen_later - {post_id})


async def _place_now(frame: Frame, view: CandidateView, user_id: str, post_id: str) -> int | None:
    """Where the post would stand on a page of now; None when it would not be on it."""
    request = await preview_of(frame.parts, user_id, k=PAGE)
    found = await recommend(frame.parts.stores, view, request, moment=frame.now)
    return next((place for place, post in enumerate(found.posts) if post.post_id == post_id), None)


def _answer(
    frame: Frame, found: WhyPost, showings: Sequence[Showing], acts: Sequence[Act], posts: dict[str, Post]
) -> str:
    """The page in one sentence."""
    t = frame.t
    if not showings:
        return t("It was never shown to this user.") + " " + _standing(frame, found)
    did = t("and nothing was done") if not acts else "、".join({frame.kind(act.kind): None for act in acts})
    words = t(
        "It was shown {count} times, last {when}: {did}.",
        count=len(showings),
        when=frame.ago(showings[0].shown_at),
        did=did,
    )
    if not found.references:
        return words + " " + t("Nothing was known of the user then, so it came as popular or fresh.")
    best = found.references[0]
    title = posts[best.reference.post_id].title if best.reference.post_id in posts else DELETED_TITLE
    return (
        words
        + " "
        + t(
            "What counts most is {share} % of its score: «{title}» ({whose}, {act}).",
            share=percent(best.share),
            title=title,
            whose=t(f"whose_{best.reference.kind}"),
            act=frame.kind(best.reference.behaviour),
        )
    )


def _standing(frame: Frame, found: WhyPost) -> str:
    t = frame.t
    if found.barred is not None:
        return t(BARRED_WORDS[found.barred])
    if found.place is None:
        return t("It may be recommended, but is not among the best matches.")
    return t(
        "It is match number {place} of {passing} posts that may be recommended.",
        place=found.place + 1,
        passing=f"{found.passing:,}",
    )


def _picture(post: Post | None) -> str | None:
    return picture_url(post.picture_hash, THUMBNAILS) if post else None
