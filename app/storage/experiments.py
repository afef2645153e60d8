"""Experiments <-> their table, and what came of them: showings and acts per arm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Row, text
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncEngine

from app.domain import BehaviourKind
from app.errors import Conflict
from app.storage.postgres import transaction

EXPERIMENTS_AT_MOST = 1000

_ALL = text("""
    SELECT experiment, scene, arms, started_at, ended_at FROM experiments
    ORDER BY started_at DESC, experiment LIMIT :most""").bindparams(most=EXPERIMENTS_AT_MOST)
_BY_NAME = text("SELECT experiment, scene, arms, started_at, ended_at FROM experiments WHERE experiment = :experiment")
_START = text("""
    INSERT INTO experiments (experiment, scene, arms) VALUES (:experiment, :scene, CAST(:arms AS jsonb))
    ON CONFLICT (experiment) DO NOTHING""")
_END = text("""
    UPDATE experiments SET ended_at = coalesce(ended_at, clock_timestamp()) WHERE experiment = :experiment
    RETURNING experiment""")
_SHOWN = text("""
    SELECT arm, count(*) AS showings, count(DISTINCT user_id) AS users FROM exposures
    WHERE experiment = :experiment GROUP BY arm""")
# A behaviour answers the showing it names, else the latest of its post to its user before it: as attribution.py has it.
_ACTED = text("""
    WITH shown AS (
        SELECT exposure_id, user_id, post_id, arm FROM exposures WHERE experiment = :experiment
    ), answers AS (
        SELECT b.kind, coalesce(named.exposure_id, latest.exposure_id) AS exposure_id
        FROM (SELECT DISTINCT user_id, post_id FROM shown) AS pair
        JOIN behaviours b USING (user_id, post_id)
        LEFT JOIN exposures named
            ON named.exposure_id = b.exposure_id AND named.user_id = b.user_id AND named.post_id = b.post_id
        LEFT JOIN LATERAL (
            SELECT exposure_id FROM exposures e
            WHERE e.user_id = b.user_id AND e.post_id = b.post_id AND e.shown_at <= b.at
            ORDER BY e.shown_at DESC, e.exposure_id DESC LIMIT 1
        ) AS latest ON named.exposure_id IS NULL
    )
    SELECT shown.arm, answers.kind, count(DISTINCT exposure_id) AS acted
    FROM answers JOIN shown USING (exposure_id) GROUP BY 1, 2""")


@dataclass(frozen=True, slots=True)
class Arm:
    """One way of making pages, and the share of the users who get it."""

    name: str
    share: float
    parameters: Mapping[str, Any]  # over those of the scene


@dataclass(frozen=True, slots=True)
class Experiment:
    """A comparison of arms in one scene."""

    experiment: str
    scene: str
    arms: tuple[Arm, ...]
    started_at: datetime  # UTC, aware
    ended_at: datetime | None  # UTC, aware; None while it runs


@dataclass(frozen=True, slots=True)
class ArmCounts:
    """What came of one arm so far."""

    users: int
    showings: int
    acted: Mapping[BehaviourKind, int]  # showings that were acted on, by behaviour


async def list_experiments(database: AsyncEngine) -> list[Experiment]:
    """All of them, the latest first."""
    async with transaction(database) as connection:
        return [_experiment(row) for row in await connection.execute(_ALL)]


async def experiment_named(database: AsyncEngine, experiment: str) -> Experiment | None:
    """The experiment of that name, if there is one."""
    async with transaction(database) as connection:
        row = (await connection.execute(_BY_NAME, {"experiment": experiment})).one_or_none()
        return None if row is None else _experiment(row)


async def start_experiment(database: AsyncEngine, experiment: str, *, scene: str, arms: Sequence[Arm]) -> Experiment:
    """Start an experiment, or find it started just so. Raises Conflict when it is another, or another runs there."""
    values = {"experiment": experiment, "scene": scene, "arms": orjson.dumps([asdict(arm) for arm in arms]).decode()}
    try:
        async with transaction(database) as connection:
            await connection.execute(_START, values)
            started = _experiment((await connection.execute(_BY_NAME, {"experiment": experiment})).one())
    except IntegrityError:
        raise Conflict("another experiment runs in this scene: end it first with DELETE /experiments/{name}") from None
    if (started.scene, started.arms, started.ended_at) != (scene, tuple(arms), None):
        raise Conflict("an experiment of this name was started otherwise: its figures would mix, choose another name")
    return started


async def end_experiment(database: AsyncEngine, experiment: str) -> bool:
    """End an experiment; its figures stay. False when there is none of that name."""
    async with transaction(database) as connection:
        return await connection.scalar(_END, {"experiment": experiment}) is not None


async def counts_of_arms(database: AsyncEngine, experiment: str) -> dict[str, ArmCounts]:
    """What the log knows of each arm that was shown."""
    async with transaction(database) as connection:
        shown = (await connection.execute(_SHOWN, {"experiment": experiment})).all()
        acted: dict[str, dict[BehaviourKind, int]] = {}
        for row in await connection.execute(_ACTED, {"experiment": experiment}):
            acted.setdefault(row.arm, {})[BehaviourKind(row.kind)] = row.acted
    return {row.arm: ArmCounts(row.users, row.showings, acted.get(row.arm, {})) for row in shown if row.arm}


def _experiment(row: Row[Any]) -> Experiment:
    arms = tuple(Arm(**arm) for arm in row.arms)
    return Experiment(row.experiment, row.scene, arms, row.started_at, row.ended_at)
