"""A user and an experiment -> the arm he belongs to, and how sure the figures of the arms are."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b
from math import sqrt
from typing import Any

from app.recommend.explore import EXPLORATION_SHARE
from app.recommend.request import RecommendRequest
from app.settings import Settings
from app.storage.experiments import Arm, Experiment
from app.storage.scene_book import DEFAULT_SCENE, SceneBook

Z_95 = 1.959964  # standard deviations that hold 95 % of a normal distribution


def arm_of(experiment: Experiment, user_id: str) -> Arm | None:
    """The user's arm: always the same, and nowhere written down. None where the shares leave somebody out."""
    digest = blake2b(f"{experiment.experiment}\0{user_id}".encode(), digest_size=8).digest()
    at = int.from_bytes(digest) / (1 << 64)
    for arm in experiment.arms:
        at -= arm.share
        if at < 0:
            return arm
    return None


def page_parameters(book: SceneBook, settings: Settings, scene: str | None, *, user_id: str) -> Mapping[str, Any]:
    """What a user's page in the scene is made with where the request does not say, by the names of a request's fields:
    his arm over the scene over the deployment.
    """
    deployment = {"reserved_seconds": settings.reserved_seconds, "exploration_share": EXPLORATION_SHARE}
    parameters, experiment = {**deployment, **book.parameters(scene)}, book.experiment(scene)
    arm = None if experiment is None else arm_of(experiment, user_id)
    if experiment is None or arm is None:
        return parameters
    return {**parameters, **arm.parameters, "experiment": experiment.experiment, "arm": arm.name}


def preview(book: SceneBook, settings: Settings, user_id: str, *, k: int) -> RecommendRequest:
    """What he would ask for in the default scene, for whoever looks in his place: nothing is left to chance, so that
    looking twice shows the same, and nothing is held back from his own next call.
    """
    given = page_parameters(book, settings, DEFAULT_SCENE, user_id=user_id)
    chosen = {**given, "exploration_share": 0.0, "reserved_seconds": 0.0}
    return RecommendRequest(user_id=user_id, k=k, scene=DEFAULT_SCENE, **chosen)


def wilson_interval(acted: int, shown: int) -> tuple[float, float]:
    """The 95 % confidence interval of a rate (Wilson 1927); everything is possible where nothing was shown."""
    if not shown:
        return 0.0, 1.0
    rate, z2 = acted / shown, Z_95 * Z_95
    centre = (rate + z2 / (2 * shown)) / (1 + z2 / shown)
    half = Z_95 * sqrt(rate * (1 - rate) / shown + z2 / (4 * shown * shown)) / (1 + z2 / shown)
    return max(0.0, min(rate, centre - half)), min(1.0, max(rate, centre + half))
