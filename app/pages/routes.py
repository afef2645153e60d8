"""All routes of the pages, for the application to include; its state must hold `page_parts` under PARTS."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from app.pages import demo
from app.pages.admin import (
    audit,
    door,
    erasing,
    generations,
    jobs,
    keys,
    letters,
    overview,
    post,
    posts,
    space,
    training,
    users,
    why,
)
from app.pages.files import static_file

ROOMS = (
    audit,
    erasing,
    generations,
    jobs,
    keys,
    letters,
    post,
    posts,
    space,
    training,
    users,
    why,
)  # each adds its routes to `door.inside`
router = APIRouter(include_in_schema=False)


@router.get("/pages/static/{name}")
def static(name: str) -> Response:
    """A style sheet, script or icon of the pages."""
    return static_file(name)


for one in (demo.router, demo.fragments, overview.router, door.router, door.inside):
    router.include_router(one)
