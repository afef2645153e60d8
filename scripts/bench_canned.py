"""`python -m scripts.bench_canned FILE`: the product's service, whose /canned answers every request with the file.

The floor of /recommend: the same middlewares, key, lane and checked body, the same bytes back, and no recommending.
"""

from __future__ import annotations

import sys
from functools import cache
from pathlib import Path

from fastapi import APIRouter
from starlette.responses import Response

import app.api.recommend
from app.api.guarded import GuardedRoute, lane
from app.api.keys import CLIENT
from app.api.recommend import page_defaults
from app.api.recommend_bodies import RecommendBody
from app.api.state import SERVING_LANE, State
from app.main import serve
from app.recommend.wording import language_of
from app.settings import load_settings

router = APIRouter(route_class=GuardedRoute)


@router.post("/canned", dependencies=[CLIENT], openapi_extra=lane(SERVING_LANE))
async def canned(body: RecommendBody, state: State) -> Response:
    """The same bytes for everybody."""
    body.to_request_of_user(await page_defaults(state, body, body.user_id), language=language_of(body.language, None))
    return Response(_content(), media_type="application/json")


@cache
def _content() -> bytes:
    """Read when it is first asked for: it is an answer that this very service has given before."""
    return Path(sys.argv[1]).read_bytes()


if __name__ == "__main__":
    app.api.recommend.router.routes.extend(router.routes)
    sys.exit(serve(load_settings()))
