"""Body bytes <-> JSON values. Read strictly: what another reader could understand differently is refused.

Refused are NaN and infinities, numbers beyond a double, lone surrogates, other encodings than UTF-8, names that occur
twice in one object, and deep nesting. The messages say where, never what.
"""

from __future__ import annotations

import json
from typing import Any

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

MEDIA_TYPES = ("application/json", "application/merge-patch+json")


def json_answer(content: object) -> Response:
    """An answer with status 200."""
    return Response(orjson.dumps(content), media_type="application/json")


def parse_json(body: bytes) -> object:
    """The value of a JSON text. Raises HTTPException 400."""
    if not body:
        raise HTTPException(400, "the body is empty: send a JSON object")
    try:
        value = orjson.loads(body)
        json.loads(body, object_pairs_hook=_refuse_twins)
    except orjson.JSONDecodeError as error:
        raise HTTPException(400, f"the body is no valid JSON at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise HTTPException(400, "the body is nested too deeply") from None
    return value


def require_json(request: Request) -> None:
    """Let only JSON through. Raises HTTPException 415."""
    media_type, _, parameters = request.headers.get("content-type", "").partition(";")
    charset = parameters.lower().partition("charset=")[2].strip(' "')
    if media_type.strip().lower() not in MEDIA_TYPES or charset not in ("", "utf-8", "utf8"):
        raise HTTPException(415, "send the body as application/json in UTF-8")
    refuse_encoded(request)


def refuse_encoded(request: Request) -> None:
    """A compressed body could be a thousand times its size. Raises HTTPException 415."""
    if request.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise HTTPException(415, "send the body without Content-Encoding")


def _refuse_twins(pairs: list[tuple[str, Any]]) -> None:
    """orjson lets the last of two equal names win; others take the first."""
    if len(pairs) != len({name for name, _ in pairs}):
        raise HTTPException(400, "the body has an object with the same name twice")
