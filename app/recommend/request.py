"""What a client asks for, and what it gets: plain values; the API's schemas and the command line map onto them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from urllib.parse import quote

from app.domain import BehaviourKind, Exposure, PostAct
from app.errors import BadInput

POSTS_AT_MOST = 100  # of one page
EXPLORATION_SHARE_AT_MOST = 0.1


class Language(StrEnum):
    """Languages of the words in an answer."""

    ENGLISH = "en"
    CHINESE = "zh"


@dataclass(frozen=True, slots=True)
class Place:
    """A point on the ground."""

    latitude: float  # degrees north
    longitude: float  # degrees east


@dataclass(frozen=True, slots=True)
class Near:
    """Posts within a distance of a point."""

    latitude: float  # degrees north
    longitude: float  # degrees east
    radius_km: float


@dataclass(frozen=True, slots=True)
class PostFilter:
    """What a post must have; of several words in one list any will do, and an empty list asks for nothing."""

    category: tuple[str, ...] = ()
    city: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    attributes: Mapping[str, tuple[str | float | bool, ...]] = field(default_factory=dict)  # all names must be met
    near: Near | None = None


@dataclass(frozen=True, slots=True)
class RecommendRequest:
    """One request for a page of recommendations. Raises BadInput for a number out of its range."""

    user_id: str
    k: int = 20
    scene: str | None = None
    filter: PostFilter = PostFilter()
    exclude_post_ids: tuple[str, ...] = ()
    exclude_author_ids: tuple[str, ...] = ()
    include_seen: bool = False
    diversity: float = 0.0  # 0 = by score alone .. 1 = as unlike each other as can be
    behaviour_weights: Mapping[BehaviourKind, float] = field(default_factory=dict)  # given: order by what is likely
    recency_half_life_days: float | None = None  # after so many days a post counts half as much
    popularity_influence: float = 0.0  # log-odds that the most popular post gains
    distance_half_km: float | None = None  # so far away from `place` a post counts half as much
    place: Place | None = None  # where the user is; the point of filter.near when not given
    author_posts_at_most: int | None = None  # of one page
    category_posts_at_most: int | None = None  # of one page
    session: tuple[PostAct, ...] = ()  # acts that the log may not have yet; they are not stored
    cursor: str | None = None
    exploration_share: float = 0.0  # of the places, given to new posts by chance
    experiment: str | None = None  # under way in the scene
    arm: str | None = None  # of the experiment, to which the user belongs
    language: Language = Language.ENGLISH  # of the reasons
    reserved_seconds: float = 0.0  # how long what is returned is held back from further calls without a cursor
    record_exposures: bool = False  # for the caller: write `Recommendation.exposures` to the log

    def __post_init__(self) -> None:
        if not 1 <= self.k <= POSTS_AT_MOST:
            raise BadInput(f"k: a whole number from 1 to {POSTS_AT_MOST}")
        if not 0 <= self.diversity <= 1:
            raise BadInput("diversity: a number from 0 to 1")
        if not 0 <= self.exploration_share <= EXPLORATION_SHARE_AT_MOST:
            raise BadInput(f"exploration_share: a number from 0 to {EXPLORATION_SHARE_AT_MOST}")


class ReasonKind(StrEnum):
    """Why a post was recommended: whose reference it matches, or that it needs none."""

    OWN = "own"
    SIMILAR_USER = "similar_user"
    SIMILAR_ATTRIBUTES = "similar_attributes"
    SESSION = "session"
    POPULAR = "popular"
    FRESH = "fresh"
    PINNED = "pinned"


@dataclass(frozen=True, slots=True)
class Reason:
    """The reference that counted most, and the act on it; nothing but the kind where there is no reference."""

    kind: ReasonKind
    reference_post_id: str | None = None
    behaviour: BehaviourKind | None = None
    similarity: float | None = None  # cosine of the two posts' vectors
    text: str = ""  # for the reader of the feed


@dataclass(frozen=True, slots=True)
class RecommendedPost:
    """One post of the page."""

    post_id: str
    score: float  # what ordered it before diversity; comparable within one page only
    title: str
    has_picture: bool
    category: str | None
    probabilities: Mapping[BehaviourKind, float]
    reason: Reason

    @property
    def picture_url(self) -> str | None:
        """Path of the picture under the API's address."""
        return f"/posts/{quote(self.post_id, safe='')}/picture" if self.has_picture else None


@dataclass(frozen=True, slots=True)
class Recommendation:
    """The answer to one request."""

    recommendation_id: str
    generation: str
    posts: tuple[RecommendedPost, ...]  # best first
    cursor: str | None  # for the next page; None when there is none or Redis is down
    shortfall: str | None  # why there are fewer than asked for
    degraded: tuple[str, ...]  # what it went without: "cache", "history", "peers"
    ignored_ids: tuple[str, ...]  # of the request's lists, unknown here
    personalised: bool = True  # false: the user wants nothing used that is known of him
    experiment: str | None = None  # and the user's arm in it
    arm: str | None = None

    def exposures(self, request: RecommendRequest, *, shown_at: datetime) -> tuple[Exposure, ...]:
        """The page as showings, for a client that leaves recording them to the service."""
        return tuple(
            Exposure(
                f"{self.recommendation_id}:{position}",
                request.user_id,
                post.post_id,
                shown_at,
                position,
                request.scene,
                self.recommendation_id,
            )
            for position, post in enumerate(self.posts)
        )
