"""Posts -> the tiles of a grid: picture, title, where it is, and whatever number the page sets beside it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import quote

from app.candidates.nearest import Neighbours
from app.candidates.view import CandidateView
from app.domain import BehaviourKind, Post
from app.pages.admin.frame import PATH, THUMBNAILS
from app.pages.strips import picture_url
from app.storage.rates import Rates


@dataclass(frozen=True, slots=True)
class Tile:
    """One post as a grid draws it."""

    post_id: str
    url: str
    title: str
    picture_url: str | None
    category: str | None
    city: str | None
    state: str | None  # "hidden", "expired", "pinned", or None
    note: str = ""  # e.g. how alike it is


def post_url(post_id: str) -> str:
    """The page of a post."""
    return f"{PATH}/post?id={quote(post_id, safe='')}"


def user_url(user_id: str) -> str:
    """The page of a user."""
    return f"{PATH}/user?id={quote(user_id, safe='')}"


def why_url(user_id: str, post_id: str) -> str:
    """The page that says why a user sees a post."""
    return f"{PATH}/why?user={quote(user_id, safe='')}&post={quote(post_id, safe='')}"


def tile_of(post: Post, *, note: str = "") -> Tile:
    """A post of the catalogue."""
    expired = post.expires_at is not None and post.expires_at <= datetime.now(UTC)
    return Tile(
        post_id=post.post_id,
        url=post_url(post.post_id),
        title=post.title,
        picture_url=picture_url(post.picture_hash, THUMBNAILS),
        category=post.category,
        city=post.city,
        state="hidden" if post.hidden else "expired" if expired else "pinned" if post.pinned_at else None,
        note=note,
    )


def tiles_of(posts: Iterable[Post], rates: Mapping[str, Rates]) -> list[Tile]:
    """Posts with their clicks per showing."""
    return [tile_of(post, note=click_words(rates.get(post.post_id))) for post in posts]


def click_words(rates: Rates | None) -> str:
    """`12 % of 340`; empty without showings."""
    rate = rates.rate(BehaviourKind.CLICK) if rates else None
    return "" if rates is None or rate is None else f"{percent(rate)} % · {rates.shown:,}"


def alike_tiles(view: CandidateView, found: Neighbours) -> list[Tile]:
    """Rows of the candidates with their likeness."""
    pairs: Sequence[tuple[int, float]] = list(zip(found.rows.tolist(), found.similarity.tolist(), strict=True))
    return [row_tile(view, row, note=f"{similarity:.2f}") for row, similarity in pairs]


def row_tile(view: CandidateView, row: int, *, note: str = "") -> Tile:
    """A candidate as the view knows it."""
    columns = view.columns
    return Tile(
        post_id=columns.post_ids[row],
        url=post_url(columns.post_ids[row]),
        title=columns.titles[row],
        picture_url=picture_url(columns.picture_hashes[row], THUMBNAILS),
        category=columns.category.word(row),
        city=columns.city.word(row),
        state=None if view.alive[row] else "hidden",
        note=note,
    )


def percent(share: float) -> str:
    """A share in per cent, with a decimal where it is small."""
    value = 100 * share
    return f"{value:.0f}" if value >= 10 else f"{value:.1f}" if value >= 0.1 or not value else f"{value:.2f}"
