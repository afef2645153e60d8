"""The bodies of the API: requests are checked strictly here, answers are documented; each with an example."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path
from pydantic import BaseModel, ConfigDict, Field, SkipValidation

from app.intake.event_records import BehaviourRecord, ExposureRecord
from app.intake.fields import (
    TAGS,
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
    POSTS_AT_MOST,
)

EVENTS_AT_MOST = 1000
LETTERS_AT_ONCE = 500
POSTS_PER_BATCH = 500

STRICT = ConfigDict(strict=True, frozen=True, extra="forbid")  # a misspelt filter must not pass for none
ANSWER = ConfigDict(frozen=True)

PathId = Annotated[Id, Path(description="the id; percent-encode what is not a letter or a digit, the slash too")]
Count = Annotated[int, Field(ge=1, le=POSTS_AT_MOST, description="how many posts")]
LetterId = Annotated[int, Field(ge=0, lt=1 << 63)]
LetterPathId = Annotated[int, Path(ge=0, lt=1 << 63, description="the id of a letter")]


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
    pinned: bool = False
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


class MergeBody(BaseModel):
    """Who the user was before he signed in."""

    model_config = STRICT | {"json_schema_extra": {"example": {"anonymous_id": "device-7f3a"}}}

    anonymous_id: Id


class ReplayBody(BaseModel):
    """Which rejected items to try again: those named, or the oldest beyond an id."""

    model_config = STRICT | {"json_schema_extra": {"example": {"letter_ids": [17, 18]}}}

    letter_ids: Annotated[list[LetterId], Field(max_length=LETTERS_AT_ONCE)] | None = None
    after: LetterId = 0
