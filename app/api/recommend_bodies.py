"""The bodies of requests for recommendations, and of what orders their pages; each with an example."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field, model_validator

from app.api.schemas import STRICT, Count
from app.domain import BehaviourKind, PostAct
from app.intake.event_records import Kind
from app.intake.fields import LARGEST_NUMBER, WORD_CHARACTERS, Id, Latitude, Longitude, Moment, Tag, Word
from app.recommend.request import (
    EXPLORATION_SHARE_AT_MOST,
    POSTS_AT_MOST,
    Language,
    Near,
    Place,
    PostFilter,
    RecommendRequest,
)

USERS_AT_ONCE = 1000
IDS_AT_MOST = 1000
WORDS_AT_MOST = 100
ATTRIBUTES_AT_MOST = 20
FARTHEST_KM = 20_040  # half way round the earth

OfPage = Annotated[int, Field(ge=1, le=POSTS_AT_MOST, description="posts of one page at most")]
Days = Annotated[float, Field(gt=0, le=36_500, allow_inf_nan=False)]
Weight = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]
Words = Annotated[list[Tag], Field(max_length=WORDS_AT_MOST)]
Ids = Annotated[list[Id], Field(max_length=IDS_AT_MOST)]
Cursor = Annotated[str, Field(max_length=256)]
AttributeValue = (
    Annotated[str, Field(max_length=WORD_CHARACTERS)]
    | bool
    | Annotated[float, Field(ge=-LARGEST_NUMBER, le=LARGEST_NUMBER, allow_inf_nan=False)]
)
AttributeFilter = Annotated[
    dict[
        Annotated[str, Field(min_length=1, max_length=WORD_CHARACTERS)],
        AttributeValue | Annotated[list[AttributeValue], Field(max_length=WORDS_AT_MOST)],
    ],
    Field(max_length=ATTRIBUTES_AT_MOST, description="name -> the value it must have, or a list of which any will do"),
]


class PlaceBody(BaseModel):
    """A point on the ground."""

    model_config = STRICT

    latitude: Latitude
    longitude: Longitude


class NearBody(PlaceBody):
    """Posts within a distance of a point."""

    radius_km: Annotated[float, Field(gt=0, le=FARTHEST_KM, allow_inf_nan=False)]


class FilterBody(BaseModel):
    """What a post must have; of several words in one list any will do."""

    model_config = STRICT

    category: Words | None = None
    city: Words | None = None
    tags: Words | None = None
    attributes: AttributeFilter | None = None
    near: NearBody | None = None

    def to_filter(self) -> PostFilter:
        """The same as a value of the domain."""
        return PostFilter(
            category=tuple(self.category or ()),
            city=tuple(self.city or ()),
            tags=tuple(self.tags or ()),
            attributes={
                name: tuple(value) if isinstance(value, list) else (value,)
                for name, value in (self.attributes or {}).items()
            },
            near=Near(self.near.latitude, self.near.longitude, self.near.radius_km) if self.near else None,
        )


class WeightsBody(BaseModel):
    """What each behaviour is worth; one that is left out is worth nothing."""

    model_config = STRICT

    click: Weight | None = None
    like: Weight | None = None
    share: Weight | None = None
    favourite: Weight | None = None
    comment: Weight | None = None


class ActBody(BaseModel):
    """A behaviour of the running session, which the log may not have yet."""

    model_config = STRICT

    post_id: Id
    kind: Kind
    at: Moment | None = None


class OrderBody(BaseModel):
    """What orders and varies a page: of a scene, of an arm, or of one request."""

    model_config = STRICT | {
        "json_schema_extra": {"example": {"behaviour_weights": {"click": 1, "like": 2}, "diversity": 0.3}}
    }

    diversity: Annotated[float, Field(ge=0, le=1, allow_inf_nan=False)] | None = None
    behaviour_weights: WeightsBody | None = None
    recency_half_life_days: Days | None = None
    popularity_influence: Annotated[float, Field(ge=-10, le=10, allow_inf_nan=False)] | None = None
    distance_half_km: Annotated[float, Field(gt=0, le=FARTHEST_KM, allow_inf_nan=False)] | None = None
    author_posts_at_most: OfPage | None = None
    category_posts_at_most: OfPage | None = None
    exploration_share: Annotated[float, Field(ge=0, le=EXPLORATION_SHARE_AT_MOST, allow_inf_nan=False)] | None = None

    def parameters(self) -> dict[str, Any]:
        """What is given, by the names of a request's fields."""
        given = {name: getattr(self, name) for name in OrderBody.model_fields}
        weights = given.pop("behaviour_weights")
        found = {name: value for name, value in given.items() if value is not None}
        return found if weights is None else found | {"behaviour_weights": weights.model_dump(exclude_none=True)}


class PageBody(OrderBody):
    """What a page is made of, for whomever it is."""

    k: Count = 20
    scene: Word | None = None
    filter: FilterBody | None = None
    exclude_post_ids: Ids | None = None
    exclude_author_ids: Ids | None = None
    include_seen: bool = False
    place: PlaceBody | None = None
    language: Literal["en", "zh"] | None = None
    record_exposures: bool = False

    @model_validator(mode="before")
    @classmethod
    def _null_is_left_out(cls, values: object) -> object:
        if not isinstance(values, dict):
            return values
        return {name: value for name, value in values.items() if value is not None}

    def to_request(self, user_id: str, defaults: Mapping[str, Any], *, language: Language) -> RecommendRequest:
        """The same as a value of the domain; `defaults` are what scene and deployment say, by its names."""
        return RecommendRequest(
            user_id=user_id,
            k=self.k,
            scene=self.scene or None,
            filter=self.filter.to_filter() if self.filter else PostFilter(),
            exclude_post_ids=tuple(self.exclude_post_ids or ()),
            exclude_author_ids=tuple(self.exclude_author_ids or ()),
            include_seen=self.include_seen,
            place=Place(self.place.latitude, self.place.longitude) if self.place else None,
            language=language,
            record_exposures=self.record_exposures,
            **{**defaults, **self.parameters()},
        )


class RecommendBody(PageBody):
    """A request for recommendations; all but the user is optional."""

    model_config = STRICT | {
        "json_schema_extra": {
            "example": {
                "user_id": "u1",
                "k": 20,
                "scene": "home",
                "filter": {
                    "category": ["food"],
                    "city": ["上海"],
                    "near": {"latitude": 31.23, "longitude": 121.47, "radius_km": 5},
                },
                "exclude_post_ids": ["p3"],
                "diversity": 0.3,
                "behaviour_weights": {"click": 1, "like": 2},
                "session": [{"post_id": "p9", "kind": "click", "at": "2026-03-01T12:00:00+08:00"}],
            }
        }
    }

    user_id: Id
    session: Annotated[list[ActBody], Field(max_length=WORDS_AT_MOST)] | None = None
    cursor: Cursor | None = None

    def to_request_of_user(self, defaults: Mapping[str, Any], *, language: Language) -> RecommendRequest:
        """The same as a value of the domain, with the session and the feed it belongs to."""
        now = datetime.now(UTC)
        acts = tuple(PostAct(act.post_id, BehaviourKind(act.kind), act.at or now) for act in self.session or ())
        request = self.to_request(self.user_id, defaults, language=language)
        return replace(request, session=acts, cursor=self.cursor or None)


class BatchBody(PageBody):
    """Users for each of whom a page is made, all in the same way."""

    model_config = STRICT | {"json_schema_extra": {"example": {"user_ids": ["u1", "u2"], "k": 3, "scene": "mail"}}}

    user_ids: Annotated[list[Id], Field(min_length=1, max_length=USERS_AT_ONCE)]


class RecommendQuery(BaseModel):
    """The simple parameters of the same request."""

    user_id: Id
    k: Count = 20
    scene: Word | None = None
    city: Words = []
    category: Words = []
    include_seen: bool = False
    language: Literal["en", "zh"] | None = None
    cursor: Cursor | None = None

    def to_body(self) -> RecommendBody:
        """The same request as a body."""
        values = self.model_dump(exclude={"city", "category"})
        return RecommendBody(filter=FilterBody(city=self.city, category=self.category), **values)
