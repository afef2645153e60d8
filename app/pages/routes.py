"""All routes of the pages, for the application to include; its state must hold `page_parts` under PARTS."""

from __future__ import annotations

from fastapi import APIRouter
from starlette.responses import Response

from app.pages import admin, demo
from app.pages.files import static_file

router = APIRouter(include_in_schema=False)


@router.get("/pages/static/{name}")
def static(name: str) -> Response:
    """A style sheet, script or icon of the pages."""
    return static_file(name)


for one in (demo.router, demo.fragments, admin.router, admin.inside):
    router.include_router(one)
