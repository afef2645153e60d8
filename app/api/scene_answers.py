"""Answers about scenes and experiments, as the OpenAPI documents them."""

from __future__ import annotations

from datetime import datetime

from pydantic import BaseModel

from app.api.answers import with_example
from app.domain import BehaviourKind


class SceneAnswer(BaseModel):
    """What the pages of a scene are made with; what is not named is as in a request that does not name it."""

    model_config = with_example(
        {"scene": "home", "parameters": {"diversity": 0.3}, "changed_at": "2026-03-01T12:00:00+00:00"}
    )

    scene: str
    parameters: dict[str, object]
    changed_at: datetime


class ScenesAnswer(BaseModel):
    """All scenes that have parameters."""

    model_config = with_example(
        {"scenes": [{"scene": "home", "parameters": {"diversity": 0.3}, "changed_at": "2026-03-01T12:00:00+00:00"}]}
    )

    scenes: list[SceneAnswer]


class ArmAnswer(BaseModel):
    """An arm of an experiment."""

    name: str
    share: float
    parameters: dict[str, object]


_EXPERIMENT = {
    "experiment": "variety",
    "scene": "home",
    "arms": [
        {"name": "as-before", "share": 0.5, "parameters": {}},
        {"name": "varied", "share": 0.5, "parameters": {"diversity": 0.4}},
    ],
    "started_at": "2026-03-01T12:00:00+00:00",
    "ended_at": None,
}


class ExperimentAnswer(BaseModel):
    """An experiment as it was started."""

    model_config = with_example(_EXPERIMENT)

    experiment: str
    scene: str
    arms: list[ArmAnswer]
    started_at: datetime
    ended_at: datetime | None


class ExperimentsAnswer(BaseModel):
    """All experiments, the latest first."""

    model_config = with_example({"experiments": [_EXPERIMENT]})

    experiments: list[ExperimentAnswer]


class RateAnswer(BaseModel):
    """How many showings were acted on so, and between which shares of them the rate lies with 95 % confidence."""

    acted: int
    rate: float | None
    low: float
    high: float


class ArmFigures(BaseModel):
    """What came of one arm so far."""

    name: str
    users: int
    showings: int
    behaviours: dict[BehaviourKind, RateAnswer]


class ExperimentFigures(ExperimentAnswer):
    """An experiment and what came of each arm."""

    model_config = with_example(
        _EXPERIMENT
        | {
            "figures": [
                {
                    "name": "varied",
                    "users": 410,
                    "showings": 8200,
                    "behaviours": {"click": {"acted": 902, "rate": 0.11, "low": 0.1034, "high": 0.117}},
                }
            ]
        }
    )

    figures: list[ArmFigures]
