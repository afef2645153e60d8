"""The bodies of requests about scenes and experiments; each with an example."""

from __future__ import annotations

from typing import Annotated, Self

from fastapi import Path
from pydantic import BaseModel, Field, StringConstraints, model_validator

from app.api.recommend_bodies import OrderBody
from app.api.schemas import STRICT
from app.intake.fields import Tag
from app.storage.experiments import Arm
from app.storage.scene_book import DEFAULT_SCENE
from app.storage.trace import NAME

ARMS_AT_MOST = 10
ROUNDING = 1e-9  # of shares that are meant to make up a whole

Name = Annotated[str, StringConstraints(pattern=f"^{NAME}$")]  # travels in the ids of recommendations
PathName = Annotated[Name, Path(description="letters, digits, - and _, up to 20")]
PathScene = Annotated[Tag, Path(description="the name of the scene; `default` for requests that name none")]


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
