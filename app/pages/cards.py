"""Recommended posts -> the cards that the pages draw, with the reason in words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from uuid import uuid4

from app.domain import BEHAVIOUR_KINDS, BehaviourKind, Post
from app.pages.strips import DELETED_TITLE, picture_url
from app.recommend.request import Reason, Recommendation, RecommendedPost
from app.storage.posts import posts_by_id
from app.storage.stores import Stores


@dataclass(frozen=True, slots=True)
class Card:
    """One recommended post as the pages draw it."""

    post_id: str
    exposure_id: str  # by which the page reports that it was seen
    recommendation_id: str
    position: int  # 0 = first of the feed
    title: str
    picture_url: str | None
    category: str | None
    city: str | None
    click_percent: str
    percents: tuple[tuple[BehaviourKind, str], ...]
    reason: str
    reason_kind: str
    reason_picture_url: str | None
    similarity: str | None


async def cards_of(
    stores: Stores,
    recommendation: Recommendation,
    *,
    words: Mapping[str, str],
    pictures: str,
    first_position: int = 0,
) -> list[Card]:
    """The cards of a page. `pictures` is the address under which the page finds pictures by their hash."""
    posts = await posts_by_id(stores.database, _ids(recommendation.posts))
    return [
        _card(recommendation, post, posts, words=words, pictures=pictures, position=first_position + place)
        for place, post in enumerate(recommendation.posts)
    ]


def _ids(recommended: Sequence[RecommendedPost]) -> set[str]:
    references = {one.reason.reference_post_id for one in recommended}
    return {one.post_id for one in recommended} | {one for one in references if one is not None}


def _card(
    recommendation: Recommendation,
    recommended: RecommendedPost,
    posts: Mapping[str, Post],
    *,
    words: Mapping[str, str],
    pictures: str,
    position: int,
) -> Card:
    post, reason = posts.get(recommended.post_id), recommended.reason
    is_itself = reason.reference_post_id == recommended.post_id  # somebody alike acted on this very post
    reference = None if is_itself else posts.get(reason.reference_post_id or "")
    reference_title = None if is_itself else reference.title if reference else DELETED_TITLE
    return Card(
        post_id=recommended.post_id,
        exposure_id=uuid4().hex,
        recommendation_id=recommendation.recommendation_id,
        position=position,
        title=recommended.title,
        picture_url=picture_url(post.picture_hash if post else None, pictures),
        category=recommended.category,
        city=post.city if post else None,
        click_percent=_percent(recommended.probabilities[BehaviourKind.CLICK]),
        percents=tuple((kind, _percent(recommended.probabilities[kind])) for kind in BEHAVIOUR_KINDS),
        reason=reason_words(reason, reference_title, words),
        reason_kind=reason.kind,
        reason_picture_url=picture_url(reference.picture_hash if reference else None, pictures),
        similarity=None if reason.similarity is None else f"{reason.similarity:.2f}",
    )


def reason_words(reason: Reason, reference_title: str | None, words: Mapping[str, str]) -> str:
    """Why a post is there, e.g. `because you liked «牛角面包»`; no title where the reference is the post itself."""
    did = words[f"did_{reason.behaviour}"] if reason.behaviour else ""
    pattern = words.get(f"same_{reason.kind}") if reference_title is None else None
    return (pattern or words[f"reason_{reason.kind}"]).format(did=did, title=reference_title)


def _percent(probability: float) -> str:
    percent = 100 * probability
    return f"{percent:.0f}" if percent >= 10 else f"{percent:.1f}"
