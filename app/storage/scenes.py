"""Scenes <-> their table: a place of the app where a feed is shown, and the parameters of its pages."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.storage.postgres import transaction

SCENES_AT_MOST = 1000

_ALL = text("SELECT scene, parameters, changed_at FROM scenes ORDER BY scene LIMIT :most").bindparams(
    most=SCENES_AT_MOST
)
_PUT = text("""
    INSERT INTO scenes AS s (scene, parameters) VALUES (:scene, CAST(:parameters AS jsonb))
    ON CONFLICT (scene) DO UPDATE SET parameters = excluded.parameters, changed_at = clock_timestamp()
    RETURNING scene, parameters, changed_at""")
_DELETE = text("DELETE FROM scenes WHERE scene = :scene RETURNING scene")


@dataclass(frozen=True, slots=True)
class Scene:
    """A scene and what its pages are made with, where a request does not say otherwise."""

    scene: str
    parameters: Mapping[str, Any]  # by the names of a request's fields
    changed_at: datetime  # UTC, aware


async def list_scenes(database: AsyncEngine) -> list[Scene]:
    """All scenes that have parameters, by name."""
    async with transaction(database) as connection:
        return [Scene(*row) for row in await connection.execute(_ALL)]


async def put_scene(database: AsyncEngine, scene: str, parameters: Mapping[str, Any]) -> Scene:
    """Give a scene its parameters; they replace those before."""
    values = {"scene": scene, "parameters": orjson.dumps(parameters).decode()}
    async with transaction(database) as connection:
        return Scene(*(await connection.execute(_PUT, values)).one())


async def delete_scene(database: AsyncEngine, scene: str) -> bool:
    """Forget the parameters of a scene. False when it had none."""
    async with transaction(database) as connection:
        return await connection.scalar(_DELETE, {"scene": scene}) is not None
