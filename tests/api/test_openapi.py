from __future__ import annotations

import re
from typing import Any

import httpx
import pytest
from fastapi import FastAPI

from app.api import answers, health_answers, scene_answers
from app.api.guarded import LANE_EXTRA, GuardedRoute
from app.api.keys import gate_of
from app.domain import Role
from app.recommend.request import RecommendedPost

pytestmark = pytest.mark.anyio


def operations(app: FastAPI) -> list[tuple[str, dict[str, Any]]]:
    paths = app.openapi()["paths"].items()
    return [(f"{method} {path}", one) for path, methods in paths for method, one in methods.items()]


def schema_of(app: FastAPI, media: dict[str, Any]) -> dict[str, Any]:
    name = media["schema"]["$ref"].rsplit("/", 1)[1]
    found: dict[str, Any] = app.openapi()["components"]["schemas"][name]
    return found


async def test_the_document_is_open_and_complete(app: FastAPI, client: httpx.AsyncClient) -> None:
    found = await client.get("/openapi.json", headers={"Authorization": ""})

    assert found.json()["openapi"].startswith("3.1")
    assert found.json()["components"]["securitySchemes"]["bearer"]["scheme"] == "bearer"


async def test_every_json_body_and_answer_has_an_example(app: FastAPI) -> None:
    without = []
    for name, operation in operations(app):
        contents = [operation.get("requestBody", {}).get("content", {})]
        contents += [answer.get("content", {}) for answer in operation["responses"].values()]
        for content in contents:
            without += [
                name for kind, one in content.items() if "json" in kind and "example" not in schema_of(app, one)
            ]

    assert without == []


async def test_every_call_says_what_it_does_and_who_may(app: FastAPI) -> None:
    for name, operation in operations(app):
        assert len(operation["description"]) > 20, name
        assert operation["tags"], name
        assert ("security" in operation) == (operation["x-role"] != "open"), name


async def test_every_call_has_a_short_name_of_its_own_for_generated_clients(app: FastAPI) -> None:
    names = [operation["operationId"] for _, operation in operations(app)]

    assert len(names) == len(set(names))
    assert [name for name in names if not re.fullmatch(r"[a-z]+(_[a-z]+){1,3}", name)] == []


async def test_every_problem_is_documented_as_one(app: FastAPI) -> None:
    for name, operation in operations(app):
        for status, answer in operation["responses"].items():
            if int(status) >= 400:
                assert list(answer["content"]) == ["application/problem+json"], (name, status)
                assert schema_of(app, answer["content"]["application/problem+json"])["title"] == "Problem"


async def test_no_page_loads_a_script_from_elsewhere(client: httpx.AsyncClient) -> None:
    assert (await client.get("/redoc")).status_code == 404
    assert "<script" not in (await client.get("/docs")).text


async def test_the_examples_of_answers_are_answers() -> None:
    for model in (one for module in (answers, health_answers, scene_answers) for one in vars(module).values()):
        example = (getattr(model, "model_config", {}).get("json_schema_extra") or {}).get("example")
        if example:
            model.model_validate(example)


async def test_items_of_a_page_are_documented_field_by_field() -> None:
    served = {name for name in RecommendedPost.__dataclass_fields__ if name != "has_picture"}

    assert set(answers.RecommendedItem.model_fields) == served | {"picture_url", "exposure_id"}


async def test_every_call_of_a_client_waits_in_a_lane(app: FastAPI) -> None:
    routes = [route for route in app.router.routes if isinstance(route, GuardedRoute)]
    of_clients = [route for route in routes if (gate := gate_of(route.dependencies)) and gate.role is Role.CLIENT]

    assert [route.path for route in of_clients if LANE_EXTRA not in (route.openapi_extra or {})] == []
    assert len(of_clients) > 5
