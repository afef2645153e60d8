"""The routes -> the OpenAPI document: what FastAPI finds out, plus the role of each route and its problems."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute
from pydantic.json_schema import models_json_schema

from app.api.answers import Problem
from app.api.guarded import LANE_EXTRA
from app.api.keys import gate_of
from app.api.problems import MEDIA_TYPE

ROLE_EXTRA = "x-role"
REFERENCE = "#/components/schemas/{model}"
DESCRIPTION = """
Recommends posts (one picture plus one title) and learns from what people do with them.

Every call but the liveness checks carries `Authorization: Bearer KEY`. A **client** key may do what an app does, an
**ops** key also writes posts and runs jobs, an **admin** key everything. Errors are `application/problem+json`.
"""
TAGS = [
    {"name": "recommend", "description": "what to show"},
    {"name": "events", "description": "what was shown and what people did"},
    {"name": "posts", "description": "the catalogue"},
    {"name": "users", "description": "what is known of people, and forgetting it"},
    {"name": "scenes", "description": "how pages are made, and experiments with it"},
    {"name": "operations", "description": "reindexing and generations"},
    {"name": "records", "description": "what was rejected, and who changed what"},
    {"name": "health", "description": "is it well"},
]
PROBLEMS: Mapping[int, str] = {
    400: "the request cannot be read",
    401: "no key, or one that is not known",
    403: "the role of the key does not allow this",
    404: "there is no such thing",
    405: "the path does not take this method",
    408: "the body came too slowly",
    409: "it is busy, or refused: the detail says why",
    410: "the cursor has expired, or the person was erased",
    413: "larger than allowed",
    415: "a body of another type",
    422: "the request cannot be used as it is: `errors` says what is wrong with it",
    429: "too many requests of this key, or wrong keys from this address: try again after `Retry-After` seconds",
    503: "cannot be answered now: try again after `Retry-After` seconds",
}
# What a route can answer beyond what follows from its shape.
FURTHER: Mapping[str, tuple[int, ...]] = {
    "recommend_by_body": (410,),
    "recommend_by_query": (410,),
    "put_user": (410,),
    "put_picture": (408, 413, 415),
    "post_reindex": (409,),
    "put_experiment": (409,),
    "merge_user": (410,),
    "promote_generation": (409,),
}


def write_openapi(app: FastAPI) -> None:
    """Make the document of an application whose routes are complete."""
    routes = [route for route in app.routes if isinstance(route, APIRoute) and route.include_in_schema]
    document = get_openapi(title=app.title, version=app.version, description=DESCRIPTION, routes=routes, tags=TAGS)
    for route in routes:
        for method in route.methods or ():
            _complete(document["paths"][route.path_format][method.lower()], route)
    schemas = document["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    _, definitions = models_json_schema([(Problem, "serialization")], ref_template=REFERENCE)
    schemas.update(definitions["$defs"])
    app.openapi_schema = document
    app.openapi = lambda: document  # type: ignore[method-assign]


def _complete(operation: dict[str, Any], route: APIRoute) -> None:
    """Give one operation its role and its problems."""
    gate = gate_of(route.dependencies)
    operation.pop(LANE_EXTRA, None)
    operation["operationId"] = route.name  # generated clients name their functions by it
    operation[ROLE_EXTRA] = gate.role.value if gate else "open"
    operation["description"] = f"{operation.get('description', '')}\n\nRole: **{operation[ROLE_EXTRA]}**.".strip()
    for content in operation["responses"].get("200", {}).get("content", {}).values():
        if "$ref" in content.get("schema", {}):
            content["schema"].pop("type", None)  # a stream is no string where its lines have a schema
    for status in sorted(_statuses(route)):
        operation["responses"][str(status)] = {
            "description": PROBLEMS[status],
            "content": {MEDIA_TYPE: {"schema": {"$ref": REFERENCE.format(model=Problem.__name__)}}},
        }


def _statuses(route: APIRoute) -> Iterable[int]:
    """The problems that follow from the shape of a route."""
    statuses = {*FURTHER.get(route.name, ())}
    if gate_of(route.dependencies) is not None:
        statuses |= {401, 403, 429, 503}
    if route.body_field is not None:
        statuses |= {400, 408, 413, 415, 422}
    if route.dependant.path_params:
        statuses |= {404, 422}
    if route.dependant.query_params:
        statuses |= {422}
    if route.name == "get_ready":
        statuses |= {503}
    return statuses
