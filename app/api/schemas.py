"""The bodies of the API: requests are checked strictly here, answers are documented; each with an example."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, Any, Literal, Self

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field, SkipValidation, StringConstraints, model_validator

from app.domain import BehaviourKind, PostAct
from app.intake.event_records import BehaviourRecord, ExposureRecord, Kind
from app.intake.fields import (
    LARGEST_NUMBER,
    TAGS,
    WORD_CHARACTERS,
    Attributes,
    Id,
    Latitude,
    Longitude,
    Moment,
    Tag,
    Title,
    Word,
)
from app.intake.posts import PostRecord
from app.recommend.request import (
    EXPLORATION_SHARE_AT_MOST,
    POSTS_AT_MOST,
    Language,
    Near,
    Place,
    PostFilter,
    RecommendRequest,
)
from app.storage.experiments import Arm
from app.storage.scene_book import DEFAULT_SCENE
from app.storage.trace import NAME

EVENTS_AT_MOST = 1000
LETTERS_AT_ONCE = 500
POSTS_PER_BATCH = 500
IDS_AT_MOST = 1000
WORDS_AT_MOST = 100
ATTRIBUTES_AT_MOST = 20
ARMS_AT_MOST = 10
ROUNDING = 1e-9  # of shares that are meant to make up a whole
FARTHEST_KM = 20_040  # half way round the earth

STRICT = ConfigDict(strict=True, frozen=True, extra="forbid")  # a misspelt filter must not pass for none
ANSWER = ConfigDict(frozen=True)

PathId = Annotated[Id, Path(description="the id; percent-encode what is not a letter or a digit, the slash too")]
OfPage = Annotated[int, Field(ge=1, le=POSTS_AT_MOST, description="posts of one page at most")]
Days = Annotated[float, Field(gt=0, le=36_500, allow_inf_nan=False)]
Count = Annotated[int, Field(ge=1, le=POSTS_AT_MOST, description="how many posts")]
LetterId = Annotated[int, Field(ge=0, lt=1 << 63)]
LetterPathId = Annotated[int, Path(ge=0, lt=1 << 63, description="the id of a letter")]
Weight = Annotated[float, Field(ge=0, le=1e6, allow_inf_nan=False)]
Words = Annotated[list[Tag], Field(max_length=WORDS_AT_MOST)]
Ids = Annotated[list[Id], Field(max_length=IDS_AT_MOST)]
Cursor = Annotated[str, Field(max_length=256)]
Name = Annotated[str, StringConstraints(pattern=f"^{NAME}$")]  # travels in the ids of recommendations
PathName = Annotated[Name, Path(description="letters, digits, - and _, up to 20")]
PathScene = Annotated[Tag, Path(description="the name of the scene; `default` for requests that name none")]
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


class RecommendBody(OrderBody):
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
    k: Count = 20
    scene: Word | None = None
    filter: FilterBody | None = None
    exclude_post_ids: Ids | None = None
    exclude_author_ids: Ids | None = None
    include_seen: bool = False
    place: PlaceBody | None = None
    language: Literal["en", "zh"] | None = None
    session: Annotated[list[ActBody], Field(max_length=WORDS_AT_MOST)] | None = None
    cursor: Cursor | None = None
    record_exposures: bool = False

    @model_validator(mode="before")
    @classmethod
    def _null_is_left_out(cls, values: object) -> object:
        if not isinstance(values, dict):
            return values
        return {name: value for name, value in values.items() if value is not None}

    def to_request(self, defaults: Mapping[str, Any], *, language: Language) -> RecommendRequest:
        """The same as a value of the domain; `defaults` are what scene and deployment say, by its names."""
        now = datetime.now(UTC)
        return RecommendRequest(
            user_id=self.user_id,
            k=self.k,
            scene=self.scene or None,
            filter=self.filter.to_filter() if self.filter else PostFilter(),
            exclude_post_ids=tuple(self.exclude_post_ids or ()),
            exclude_author_ids=tuple(self.exclude_author_ids or ()),
            include_seen=self.include_seen,
            place=Place(self.place.latitude, self.place.longitude) if self.place else None,
            language=language,
            session=tuple(PostAct(act.post_id, BehaviourKind(act.kind), act.at or now) for act in self.session or ()),
            cursor=self.cursor or None,
            record_exposures=self.record_exposures,
            **{**defaults, **self.parameters()},
        )


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


# Items are checked one by one: a bad one is reported and takes no other with it.
class ExposureBatch(BaseModel):
    """Posts that were shown, each with whatever behaviours are known by now."""

    model_config = STRICT | {
        "json_schema_extra": {
            "example": {
                "exposures": [
                    {
                        "exposure_id": "e1",
                        "user_id": "u1",
                        "post_id": "p1",
                        "shown_at": "2026-03-01T12:00:00+08:00",
                        "position": 0,
                        "scene": "home",
                        "recommendation_id": "r1",
                        "behaviours": [{"kind": "click", "at": "2026-03-01T12:00:07+08:00"}],
                    }
                ]
            }
        }
    }

    exposures: Annotated[list[SkipValidation[ExposureRecord]], Field(max_length=EVENTS_AT_MOST)]


class BehaviourBatch(BaseModel):
    """Behaviours sent by themselves."""

    model_config = STRICT | {
        "json_schema_extra": {
            "example": {
                "behaviours": [
                    {"behaviour_id": "b1", "exposure_id": "e1", "kind": "like", "at": "2026-03-01T12:00:09+08:00"},
                    {"behaviour_id": "b2", "user_id": "u1", "post_id": "p7", "kind": "share"},
                ]
            }
        }
    }

    behaviours: Annotated[list[SkipValidation[BehaviourRecord]], Field(max_length=EVENTS_AT_MOST)]


class PostBatch(BaseModel):
    """Posts to add or to replace; their pictures follow with PUT /posts/{post_id}/picture."""

    model_config = STRICT | {
        "json_schema_extra": {
            "example": {
                "posts": [
                    {
                        "post_id": "p1",
                        "title": "外滩夜景 🌃",
                        "category": "travel",
                        "city": "上海",
                        "latitude": 31.24,
                        "longitude": 121.49,
                        "author_id": "a1",
                        "tags": ["夜景"],
                        "published_at": "2026-03-01T12:00:00+08:00",
                    }
                ]
            }
        }
    }

    posts: Annotated[list[SkipValidation[PostRecord]], Field(max_length=POSTS_PER_BATCH)]


class PostPatch(BaseModel):
    """Fields of a post to change; what is left out stays, null empties."""

    model_config = STRICT | {"json_schema_extra": {"example": {"hidden": True}}}

    hidden: bool = False
    title: Title = ""
    category: Word | None = None
    city: Word | None = None
    latitude: Latitude | None = None
    longitude: Longitude | None = None
    author_id: Id | None = None
    tags: Annotated[list[Tag], Field(max_length=TAGS)] | None = None
    published_at: Moment | None = None
    expires_at: Moment | None = None
    attributes: Attributes | None = None


class UserBody(BaseModel):
    """What is known of a user, and whether that may be used for his lists."""

    model_config = STRICT | {"json_schema_extra": {"example": {"attributes": {"age": 24, "gender": "F"}}}}

    attributes: Attributes | None = None
    personalised: bool | None = None
    user_id: Id | None = None


class ReplayBody(BaseModel):
    """Which rejected items to try again: those named, or the oldest beyond an id."""

    model_config = STRICT | {"json_schema_extra": {"example": {"letter_ids": [17, 18]}}}

    letter_ids: Annotated[list[LetterId], Field(max_length=LETTERS_AT_ONCE)] | None = None
    after: LetterId = 0


class ArmBody(BaseModel):
    """One way of making pages, over what the scene says, and the share of the users who get it."""

    model_config = STRICT

    name: Name
    share: Annotated[float, Field(gt=0, le=1, allow_inf_nan=False)]
    parameters: OrderBody


class ExperimentBody(BaseModel):
    """The arms that are compared in one scene; users beyond the sum of the shares are in none."""

    model_config = STRICT | {
        "json_schema_extra": {
            "example": {
                "scene": "home",
                "arms": [
                    {"name": "as-before", "share": 0.5, "parameters": {}},
                    {"name": "varied", "share": 0.5, "parameters": {"diversity": 0.4}},
                ],
            }
        }
    }

    scene: Tag = DEFAULT_SCENE
    arms: Annotated[list[ArmBody], Field(min_length=1, max_length=ARMS_AT_MOST)]

    @model_validator(mode="after")
    def _users_are_shared_out(self) -> Self:
        if sum(arm.share for arm in self.arms) > 1 + ROUNDING:
            raise ValueError("the shares of the arms must not exceed 1 together")
        if len({arm.name for arm in self.arms}) < len(self.arms):
            raise ValueError("each arm needs a name of its own")
        return self

    def to_arms(self) -> list[Arm]:
        """The same as values of the domain."""
        return [Arm(arm.name, arm.share, arm.parameters.parameters()) for arm in self.arms]
