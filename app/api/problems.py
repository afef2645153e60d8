"""Errors -> `application/problem+json` (RFC 9457): one table of statuses, a request id, never a word of the input.

Members: `type` (stable, for programs), `title`, `status`, `detail` (for people), `request_id`, and where they help
`errors` ([{location, message}]), `job` (409) and `missing` (503).
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from contextvars import ContextVar
from dataclasses import asdict, dataclass
from http import HTTPStatus
from math import ceil
from typing import Any

import orjson
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from app.errors import (
    BadArtefact,
    BadInput,
    Conflict,
    Erased,
    ExpiredCursor,
    NotAllowed,
    TooLarge,
    TooMany,
    TuwenError,
    Unauthenticated,
    Unavailable,
    UnknownId,
)
from app.storage.jobs import Job

MEDIA_TYPE = "application/problem+json"
TYPE_PREFIX = "urn:tuwen:problem:"
RETRY_AFTER_SECONDS = 1
ERRORS_AT_MOST = 20  # of one request

current_request_id: ContextVar[str] = ContextVar("request_id", default="-")
logger = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class ProblemKind:
    """What is the same about all problems of one kind."""

    status: int
    slug: str
    title: str


UNEXPECTED = ProblemKind(500, "unexpected", "Something went wrong here")
INVALID = ProblemKind(422, "invalid", "The request cannot be used as it is")
BUSY = ProblemKind(503, "busy", "Too many requests are under way")
NOT_READY = ProblemKind(503, "not-ready", "The service cannot answer yet")

# The first class that fits counts, so special ones come first.
OF_ERRORS: Mapping[type[TuwenError], ProblemKind] = {
    UnknownId: ProblemKind(404, "unknown-id", "There is no such thing"),
    ExpiredCursor: ProblemKind(410, "expired-cursor", "The page token has expired"),
    Erased: ProblemKind(410, "erased", "This person was erased"),
    BadInput: INVALID,
    Unauthenticated: ProblemKind(401, "no-valid-key", "A valid API key is needed"),
    NotAllowed: ProblemKind(403, "not-allowed", "The role of the key does not allow this"),
    TooMany: ProblemKind(429, "too-many", "Too many requests or tries"),
    Conflict: ProblemKind(409, "conflict", "It is busy with the same thing"),
    TooLarge: ProblemKind(413, "too-large", "It is larger than allowed"),
    Unavailable: ProblemKind(503, "unavailable", "A part of the service cannot be used now"),
    BadArtefact: ProblemKind(409, "bad-artefact", "The generation is damaged and was refused"),
}
OF_STATUSES: Mapping[int, ProblemKind] = {
    400: ProblemKind(400, "malformed", "The request cannot be read"),
    404: ProblemKind(404, "unknown-path", "There is no such path"),
    405: ProblemKind(405, "method-not-allowed", "The path does not take this method"),
    408: ProblemKind(408, "too-slow", "The request did not arrive in time"),
    413: OF_ERRORS[TooLarge],
    415: ProblemKind(415, "unsupported-media-type", "The body is of a type that is not taken here"),
    431: ProblemKind(431, "long-head", "The head of the request is larger than allowed"),
    503: BUSY,
}

# What pydantic says in words of its own trade, said for the person who sends the request.
_WORDS = {
    "missing": "is missing",
    "extra_forbidden": "has a field that is not known here",
    "string_type": "must be a string",
    "string_pattern_mismatch": "must not be blank or contain control characters",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "dict_type": "must be an object",
}


def problem(
    kind: ProblemKind,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    request_id: str | None = None,
    **members: object,
) -> Response:
    """The response to a request that fails."""
    content = {
        "type": TYPE_PREFIX + kind.slug,
        "title": kind.title,
        "status": kind.status,
        "detail": detail,
        "request_id": request_id or current_request_id.get(),
        **members,
    }
    return Response(orjson.dumps(content), kind.status, dict(headers or {}), MEDIA_TYPE)


def busy(request_id: str | None = None) -> Response:
    """The answer to a request that was not begun because too many others are."""
    return problem(BUSY, "try again in a moment", headers=_retry_after(RETRY_AFTER_SECONDS), request_id=request_id)


async def on_tuwen_error(request: Request, error: Exception) -> Response:
    """An error of ours, by the table."""
    assert isinstance(error, TuwenError)
    kind = next((kind for known, kind in OF_ERRORS.items() if isinstance(error, known)), UNEXPECTED)
    if kind.status >= 500:
        # A store that is away says the same with every request: its traceback would fill the log.
        told = None if isinstance(error, Unavailable) else error
        logger.error("%s %s: %s", request.method, route_path(request.scope), error.message, exc_info=told)
    if kind is UNEXPECTED:
        return problem(UNEXPECTED, "the log of the service has the details under this request id")
    headers: dict[str, str] = {}
    members: dict[str, Any] = {}
    if isinstance(error, Unavailable):
        headers = _retry_after(RETRY_AFTER_SECONDS)
    elif isinstance(error, TooMany):
        headers = _retry_after(ceil(float(str(error.facts["wait_seconds"]))))
    elif isinstance(error, Unauthenticated):
        headers = {"WWW-Authenticate": 'Bearer realm="tuwen"'}
    job = error.facts.get("job")
    if isinstance(job, Job):
        headers["Location"] = f"/reindex/{job.job_id}"
        members["job"] = asdict(job)
    return problem(kind, error.message, headers=headers, **members)


async def on_http_exception(request: Request, error: Exception) -> Response:
    """An error of the protocol: a path, a method, a body that cannot be read."""
    assert isinstance(error, HTTPException)
    kind = OF_STATUSES.get(error.status_code)
    if kind is None:
        kind = ProblemKind(error.status_code, "http", HTTPStatus(error.status_code).phrase)
    if error.status_code not in (404, 405):
        return problem(kind, str(error.detail), headers=error.headers)
    headers = {"Allow": ", ".join(_allowed_methods(request))} if error.status_code == 405 else {}
    return problem(kind, "GET /openapi.json lists what there is", headers=headers)


async def on_invalid_request(request: Request, error: Exception) -> Response:
    """A request of which fields cannot be used: where and why, without the values."""
    assert isinstance(error, RequestValidationError)
    errors = described(error.errors())
    detail = "; ".join(f"{one['location']}: {one['message']}" for one in errors[:3])
    return problem(INVALID, detail, errors=errors)


def unexpected(error: Exception, *, method: str, path: str) -> Response:
    """The answer to an error that nobody foresaw; the log has the rest under the request id."""
    logger.error("%s %s: unexpected %s", method, path, type(error).__name__, exc_info=error)
    return problem(UNEXPECTED, "the log of the service has the details under this request id")


def described(errors: Iterable[Mapping[str, Any]]) -> list[dict[str, str]]:
    """Validation errors of pydantic as location and message; neither holds anything of the input."""
    found = [{"location": _location(one), "message": _message(one)} for one in errors]
    return found[:ERRORS_AT_MOST]


def route_path(scope: Mapping[str, Any]) -> str:
    """The template of the path, e.g. `/posts/{post_id}`; what was asked for stays out of logs and metrics."""
    return str(getattr(scope.get("route"), "path_format", "unmatched"))


def _allowed_methods(request: Request) -> list[str]:
    """Of all routes of the path; the router knows those of the first only."""
    routes = [route for route in request.app.routes if isinstance(route, APIRoute)]
    return sorted({one for route in routes if route.path_regex.match(request.url.path) for one in route.methods or ()})


def _location(error: Mapping[str, Any]) -> str:
    parts: Sequence[object] = error["loc"]
    if error["type"] == "extra_forbidden":
        parts = parts[:-1]  # its name is the sender's own
    return ".".join(str(part) for part in parts)


def _message(error: Mapping[str, Any]) -> str:
    words = _WORDS.get(error["type"])
    if words is not None:
        return words
    message = str(error["msg"]).removeprefix("Value error, ").removeprefix("Input ")
    return message[:1].lower() + message[1:]


def _retry_after(seconds: int) -> dict[str, str]:
    return {"Retry-After": str(seconds)}
