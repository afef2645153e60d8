"""Body bytes <-> JSON values. Read strictly: what another reader could understand differently is refused.

Refused are NaN and infinities, numbers beyond a double, lone surrogates, other encodings than UTF-8, names that occur
twice in one object, deep nesting, and more values than any use has for them. The messages say where, never what.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import orjson
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

MEDIA_TYPES = ("application/json", "application/merge-patch+json")

# 1000 exposures with 45 behaviours each are within it, and 500 posts with 100 tags and 280 values of attributes each. A
# value may take a hundred times its bytes in memory, so that their size says little; this many are read in a fifth of a
# second at most, in which nobody else is answered.
VALUES_AT_MOST = 200_000


def json_answer(content: object) -> Response:
    """An answer with status 200."""
    return Response(orjson.dumps(content), media_type="application/json")


def parse_json(body: bytes) -> object:
    """The value of a JSON text. Raises HTTPException 400 or 413."""
    if not body:
        raise HTTPException(400, "the body is empty: send a JSON object")
    # Every value but the first has one of these before it; commas in texts are counted too, which costs nothing to say.
    if sum(body.count(sign) for sign in (b",", b"[", b"{")) > VALUES_AT_MOST:
        raise HTTPException(413, f"the body may have {VALUES_AT_MOST} values at most, by its commas and brackets")
    try:
        with suppress(ValueError):  # orjson says it better
            json.loads(body, object_pairs_hook=_refuse_twins)  # first, so that only one of the two is held at a time
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise HTTPException(400, f"the body is no valid JSON at line {error.lineno}, column {error.colno}") from None
    except RecursionError:
        raise HTTPException(400, "the body is nested too deeply") from None


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
