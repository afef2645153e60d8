"""Answers about the service's health, as the OpenAPI documents them."""

from __future__ import annotations

from datetime import datetime
from typing import Literal

from pydantic import BaseModel

from app.api.answers import JobAnswer, with_example


class ReadyAnswer(BaseModel):
    """Whether requests can be answered; `degraded` names what they are answered without."""

    model_config = with_example({"status": "ready", "degraded": []})

    status: Literal["ready", "degraded"]
    degraded: list[str]


class StoreAnswer(BaseModel):
    """Whether a store answers, and how quickly."""

    answers: bool
    seconds: float | None


class ServingAnswer(BaseModel):
    """The generation that serves, and how current it is."""

    generation: str
    origin: str
    created_at: datetime
    age_seconds: float
    posts: int
    candidates: int
    waiting: int


class HealthAnswer(BaseModel):
    """What an admin asks first."""

    model_config = with_example(
        {
            "status": "ready",
            "degraded": [],
            "stores": {
                "database": {"answers": True, "seconds": 0.001},
                "cache": {"answers": True, "seconds": 0.0004},
            },
            "generation": {
                "generation": "20260301T120000-a1b2",
                "origin": "trained",
                "created_at": "2026-03-01T12:00:00+00:00",
                "age_seconds": 512.4,
                "posts": 4000,
                "candidates": 3987,
                "waiting": 0,
            },
            "counts": {"posts": 4012, "users": 800, "exposures": 91210, "behaviours": 10022},
            "jobs": [],
            "versions": {"python": "3.11.9", "tuwen": "0.1.0"},
            "process_id": 4711,
            "uptime_seconds": 3600.0,
        }
    )

    status: Literal["ready", "degraded", "not ready"]
    degraded: list[str]
    stores: dict[str, StoreAnswer]
    generation: ServingAnswer | None
    counts: dict[str, int] | None
    jobs: list[JobAnswer] | None
    versions: dict[str, str | None]
    process_id: int
    uptime_seconds: float


class LiveAnswer(BaseModel):
    """The process runs."""

    model_config = with_example({"status": "live"})

    status: Literal["live"]
