"""The answers of the API as the OpenAPI documents them; the routes write them without building these models."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from app.domain import BehaviourKind, PictureStatus
from app.recommend.request import ReasonKind
from app.storage.jobs import JobKind, JobState


def with_example(example: object) -> ConfigDict:
    """Configuration of a model that is documented by this example."""
    return ConfigDict(json_schema_extra={"example": example})  # type: ignore[dict-item]


class Probabilities(BaseModel):
    """How likely the user is to act on the post, by behaviour."""

    click: float
    like: float
    share: float
    favourite: float
    comment: float


class ReasonAnswer(BaseModel):
    """Why a post was recommended: the reference post it matches and whose that was."""

    kind: ReasonKind
    reference_post_id: str | None
    behaviour: BehaviourKind | None
    similarity: float | None
    text: str


_REASON = {
    "kind": "own",
    "reference_post_id": "p9",
    "behaviour": "like",
    "similarity": 0.83,
    "text": "Because you liked …",
}


class RecommendedItem(BaseModel):
    """One post of the page."""

    post_id: str
    score: float
    title: str
    picture_url: str | None
    category: str | None
    probabilities: Probabilities
    reason: ReasonAnswer
    exposure_id: str | None


class RecommendAnswer(BaseModel):
    """A page of recommendations, best first."""

    model_config = with_example(
        {
            "recommendation_id": "6f2d9c1e8a7b4f0d9b3c5a1e7d2f4b60",
            "generation": "20260301T120000-a1b2",
            "items": [
                {
                    "post_id": "p1",
                    "score": 7.31,
                    "title": "外滩夜景 🌃",
                    "picture_url": "/posts/p1/picture",
                    "category": "travel",
                    "probabilities": {"click": 0.11, "like": 0.04, "share": 0.01, "favourite": 0.02, "comment": 0.01},
                    "reason": _REASON,
                    "exposure_id": None,
                }
            ],
            "cursor": "bWFueSBwYWdlcyBtb3JlIQ",
            "shortfall": None,
            "degraded": [],
            "ignored_ids": [],
            "personalised": True,
            "experiment": None,
            "arm": None,
        }
    )

    recommendation_id: str
    generation: str
    items: list[RecommendedItem]
    cursor: str | None
    shortfall: str | None
    degraded: list[str]
    ignored_ids: list[str]
    personalised: bool
    experiment: str | None
    arm: str | None


class BatchLine(RecommendAnswer):
    """One line of the answer to a batch: the page of one user."""

    model_config = with_example(
        {
            "user_id": "u1",
            "recommendation_id": "6f2d9c1e8a7b4f0d9b3c5a1e7d2f4b60",
            "generation": "20260301T120000-a1b2",
            "items": [],
            "cursor": None,
            "shortfall": "0 of 20: 0 posts can be recommended",
            "degraded": [],
            "ignored_ids": [],
            "personalised": True,
            "experiment": None,
            "arm": None,
        }
    )

    user_id: str


class ItemAnswer(BaseModel):
    """What became of one item of a batch; the reason says why it was rejected, or what was changed about it."""

    index: int
    id: str | None
    status: Literal["accepted", "duplicate", "rejected"]
    reason: str | None


class BatchAnswer(BaseModel):
    """What became of a batch, item by item; what is accepted is committed."""

    model_config = with_example(
        {
            "accepted": 1,
            "duplicate": 0,
            "rejected": 1,
            "items": [
                {"index": 0, "id": "e1", "status": "accepted", "reason": None},
                {"index": 1, "id": None, "status": "rejected", "reason": "post_id: is missing"},
            ],
        }
    )

    accepted: int
    duplicate: int
    rejected: int
    items: list[ItemAnswer]


class PostAnswer(BaseModel):
    """A post as it stands."""

    model_config = with_example(
        {
            "post_id": "p1",
            "title": "外滩夜景 🌃",
            "picture_url": "/posts/p1/picture",
            "picture_status": "stored",
            "category": "travel",
            "city": "上海",
            "latitude": 31.24,
            "longitude": 121.49,
            "author_id": "a1",
            "tags": ["夜景"],
            "published_at": "2026-03-01T04:00:00+00:00",
            "expires_at": None,
            "attributes": {},
            "hidden": False,
            "pinned_at": None,
        }
    )

    post_id: str
    title: str
    picture_url: str | None
    picture_status: PictureStatus
    category: str | None
    city: str | None
    latitude: float | None
    longitude: float | None
    author_id: str | None
    tags: list[str]
    published_at: datetime | None
    expires_at: datetime | None
    attributes: dict[str, object]
    hidden: bool
    pinned_at: datetime | None


class PictureAnswer(BaseModel):
    """What became of a picture."""

    model_config = with_example({"post_id": "p1", "picture_status": "stored", "picture_url": "/posts/p1/picture"})

    post_id: str
    picture_status: PictureStatus
    picture_url: str


class SimilarItem(BaseModel):
    """A post that is like another."""

    post_id: str
    title: str
    picture_url: str | None
    category: str | None
    similarity: float


class SimilarAnswer(BaseModel):
    """The posts most like one post, most alike first."""

    model_config = with_example(
        {
            "post_id": "p1",
            "generation": "20260301T120000-a1b2",
            "items": [
                {
                    "post_id": "p4",
                    "title": "陆家嘴灯光秀",
                    "picture_url": "/posts/p4/picture",
                    "category": "travel",
                    "similarity": 0.91,
                }
            ],
        }
    )

    post_id: str
    generation: str
    items: list[SimilarItem]


class UserAnswer(BaseModel):
    """What became of a user's attributes."""

    model_config = with_example({"user_id": "u1", "status": "accepted"})

    user_id: str
    status: Literal["accepted", "duplicate"]


class MergeAnswer(BaseModel):
    """How much of the anonymous user is the account's now."""

    model_config = with_example(
        {"user_id": "u1", "moved": {"exposures": 40, "behaviours": 3, "rejections": 0, "dead_letters": 0}}
    )

    user_id: str
    moved: dict[str, int]


class JobAnswer(BaseModel):
    """A job as it stands."""

    model_config = with_example(
        {
            "job_id": "reindex-1f2e3d4c5b6a",
            "kind": "reindex",
            "state": "running",
            "step": "encoding",
            "done": 1280,
            "total": 4000,
            "error": None,
            "generation": None,
            "requested_by": "key-1a2b3c4d",
            "created_at": "2026-03-01T04:00:00+00:00",
            "started_at": "2026-03-01T04:00:03+00:00",
            "finished_at": None,
            "seconds": 17.2,
        }
    )

    job_id: str
    kind: JobKind
    state: JobState
    step: str
    done: int
    total: int | None
    error: str | None
    generation: str | None
    requested_by: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    seconds: float


class GenerationAnswer(BaseModel):
    """A generation in the folder."""

    generation: str
    serving: bool
    created_at: datetime | None
    origin: str | None
    parent: str | None
    posts: int | None
    rejected: str | None = Field(description="why the quality gate did not let it serve; null for any other")
    damaged: bool


class GenerationsAnswer(BaseModel):
    """All generations, latest first."""

    model_config = with_example(
        {
            "serving": "20260301T120000-a1b2",
            "generations": [
                {
                    "generation": "20260301T120000-a1b2",
                    "serving": True,
                    "created_at": "2026-03-01T12:00:00+00:00",
                    "origin": "trained",
                    "parent": "20260301T110000-c3d4",
                    "posts": 4000,
                    "rejected": None,
                    "damaged": False,
                }
            ],
        }
    )

    serving: str | None
    generations: list[GenerationAnswer]


class PromotedAnswer(BaseModel):
    """The generation that serves from now on, and the one before it."""

    model_config = with_example({"serving": "20260301T110000-c3d4", "before": "20260301T120000-a1b2"})

    serving: str
    before: str | None


class ProblemError(BaseModel):
    """One thing wrong with a request."""

    location: str
    message: str


class Problem(BaseModel):
    """RFC 9457. `type` is stable and meant for programs, `detail` for people; the input is never echoed."""

    model_config = with_example(
        {
            "type": "urn:tuwen:problem:invalid",
            "title": "The request cannot be used as it is",
            "status": 422,
            "detail": "body.k: should be less than or equal to 100",
            "request_id": "9b3c5a1e7d2f4b60",
            "errors": [{"location": "body.k", "message": "should be less than or equal to 100"}],
        }
    )

    type: str
    title: str
    status: int
    detail: str
    request_id: str
    errors: list[ProblemError] | None = None
    job: JobAnswer | None = None
    missing: list[str] | None = None
