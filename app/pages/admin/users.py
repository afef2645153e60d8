"""`/admin/users`: who there is, and one user: history, references, similar users, and what is recommended to him."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from starlette.requests import Request
from starlette.responses import Response

from app.candidates.view import CandidateView
from app.domain import Post, ShownPost
from app.errors import Unavailable
from app.pages.admin.door import inside
from app.pages.admin.frame import THUMBNAILS, Frame, frame_of
from app.pages.admin.preview import preview_of
from app.pages.admin.sheets import sheet
from app.pages.admin.tiles import post_url, user_url, why_url
from app.pages.cards import Card, cards_of
from app.pages.forms import usable_id
from app.pages.parts import is_trained
from app.pages.rendering import go_to, notice
from app.pages.strips import DELETED_TITLE, picture_url
from app.pages.words import words_of
from app.recommend.recommend import recommend
from app.recommend.why import WeighedReference, weigh_references
from app.storage.browse import active_users, find_users
from app.storage.overview import attributes_of
from app.storage.peers import Peer
from app.storage.posts import posts_by_id
from app.storage.user_state import LoadedUser, UserState, load_user_state

USERS_LISTED = 48
HISTORY_SHOWN = 36
REFERENCES_SHOWN = 24
RECOMMENDED = 18
POSTS_OF_PEER = 5


@dataclass(frozen=True, slots=True)
class PeerView:
    """A similar user and the posts that make him so, or that he lends."""

    peer: Peer
    url: str
    common: list[Post]  # liked by both
    lent: list[Post]  # acted on by him alone


@inside.get("/users")
async def users(request: Request) -> Response:
    """Users found by the beginning of their ids; else those who were active lately."""
    frame = frame_of(request)
    prefix = usable_id(request.query_params.get("words", ""))
    database = frame.parts.stores.database
    active: list[object] = []
    if not prefix:
        try:
            active = list(await active_users(database, limit=USERS_LISTED))
        except Unavailable:
            active = []
    found = active or await find_users(database, prefix, limit=USERS_LISTED)
    values = {"prefix": prefix, "found": found, "are_active": bool(active), "user_url": user_url, "words_of": traits}
    return frame.page("users.html", values, room="users", title=frame.t("Users"))


@inside.get("/user")
async def user_page(request: Request) -> Response:
    """One user, whether anything is known of him or not."""
    frame = frame_of(request)
    user_id = usable_id(request.query_params.get("id", ""))
    if not user_id:
        return notice(frame.t("Users"), frame.t("This cannot be a user id."), status=404, language=frame.language)
    post_id = usable_id(request.query_params.get("post", ""))
    if post_id:
        return go_to(why_url(user_id, post_id))
    loaded = await load_user_state(frame.parts.stores, user_id)
    attributes = await attributes_of(frame.parts.stores.database, user_id)
    values = {
        "user_id": user_id,
        "traits": traits(attributes),
        "degraded": loaded.degraded,
        "post_url": post_url,
        "picture": _picture,
        "title_of": _title,
        **await _known(frame, loaded.state),
        **await recommended(frame, user_id, loaded),
    }
    return frame.page("user.html", values, room="users", title=user_id)


@inside.get("/user.csv")
async def user_sheet(request: Request) -> Response:
    """What is kept of the user's history, a row per showing and act."""
    frame = frame_of(request)
    user_id = usable_id(request.query_params.get("id", ""))
    state = (await load_user_state(frame.parts.stores, user_id)).state if user_id else UserState()
    posts = await _posts(frame, (one.post_id for one in state.shown))
    rows: list[tuple[object, ...]] = []
    for one in state.shown:
        about = (one.exposure_id, one.post_id, _title(posts.get(one.post_id)), one.shown_at, one.position)
        rows += [(*about, act.kind, act.at) for act in one.acts] or [(*about, None, None)]
    columns = ("exposure_id", "post_id", "title", "shown_at", "position", "behaviour", "at")
    return sheet("tuwen-user-history", columns, rows)


async def _known(frame: Frame, state: UserState) -> dict[str, object]:
    """History, references and peers."""
    latest: Sequence[ShownPost] = sorted(state.shown, key=_latest_moment, reverse=True)[:HISTORY_SHOWN]
    view = _view(frame)
    references: Sequence[WeighedReference] = weigh_references(view, state)[:REFERENCES_SHOWN] if view else ()
    peers = [peer for peer in state.peers if peer.acts]
    ids = [one.post_id for one in latest] + [one.reference.post_id for one in references]
    ids += [act.post_id for peer in peers for act in peer.acts]
    posts = await _posts(frame, ids)
    own_acts = {one.post_id for one in state.shown if one.acts}
    return {
        "shown_count": len(state.shown),
        "seen_count": len(state.seen),
        "history": [(one, posts.get(one.post_id)) for one in latest],
        "references": [(one, posts.get(one.reference.post_id)) for one in references],
        "peers": [_peer(peer, own_acts, posts) for peer in peers],
        "user_url": user_url,
    }


def _latest_moment(one: ShownPost) -> datetime:
    return one.acts[-1].at if one.acts else one.shown_at


def _peer(peer: Peer, own_acts: set[str], posts: Mapping[str, Post]) -> PeerView:
    acted = list(dict.fromkeys(act.post_id for act in peer.acts if act.post_id in posts))
    common = [posts[post_id] for post_id in acted if post_id in own_acts]
    lent = [posts[post_id] for post_id in acted if post_id not in own_acts]
    return PeerView(peer, user_url(peer.user_id), common[:POSTS_OF_PEER], lent[:POSTS_OF_PEER])


async def recommended(frame: Frame, user_id: str, user: LoadedUser) -> dict[str, object]:
    """What he would be shown now; nothing is recorded as shown."""
    view = _view(frame)
    if view is None:
        return {"cards": [], "is_trained": False, "shortfall": frame.t("There is no generation yet.")}
    request = await preview_of(frame.parts, user_id, k=RECOMMENDED)
    found = await recommend(frame.parts.stores, view, request, moment=frame.now, user=user)
    words = words_of(frame.language)
    cards: list[Card] = await cards_of(frame.parts.stores, found, words=words, pictures=THUMBNAILS)
    return {
        "cards": [(card, why_url(user_id, card.post_id)) for card in cards],
        "is_trained": is_trained(frame.parts),
        "shortfall": found.shortfall,
    }


def _view(frame: Frame) -> CandidateView | None:
    try:
        return frame.parts.candidates.view()
    except Unavailable:
        return None


async def _posts(frame: Frame, ids: Iterable[str]) -> dict[str, Post]:
    return await posts_by_id(frame.parts.stores.database, set(ids))


def _picture(post: Post | None) -> str | None:
    return picture_url(post.picture_hash, THUMBNAILS) if post else None


def _title(post: Post | None) -> str:
    return post.title if post else DELETED_TITLE


def traits(attributes: Mapping[str, object]) -> list[tuple[str, str]]:
    """What is known of a user, as names and values."""
    found: list[tuple[str, str]] = []
    for name, value in attributes.items():
        if isinstance(value, Mapping):
            found += traits(value)
        else:
            words = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
            found.append((name, f"{name}: {words}" if isinstance(value, bool) else words))
    return found
