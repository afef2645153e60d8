"""A template and its values -> an HTML answer with the headers every page carries. All values are escaped."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from starlette.requests import Request
from starlette.responses import HTMLResponse, RedirectResponse, Response

from app.pages.safety import PAGE_HEADERS, came_over_tls

TEMPLATES = Path(__file__).parent / "templates"
SEE_OTHER = 303


@cache
def _environment() -> Environment:
    return Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def page(template: str, values: Mapping[str, object], *, status: int = 200) -> HTMLResponse:
    """A page, or a part of one that a script puts in its place."""
    html = _environment().get_template(template).render(values)
    return HTMLResponse(html, status, headers=dict(PAGE_HEADERS))


def notice(title: str, message: str, *, status: int, look_again: bool = False, language: str = "en") -> HTMLResponse:
    """A page with one thing to say; `look_again` lets the browser ask anew in a few seconds."""
    values = {"title": title, "message": message, "look_again": look_again, "language": language}
    return page("notice.html", values, status=status)


def go_to(address: str) -> RedirectResponse:
    """An answer that sends the browser to another page of ours."""
    return RedirectResponse(address, SEE_OTHER, headers=dict(PAGE_HEADERS))


def set_cookie(response: Response, request: Request, *, name: str, value: str, path: str, seconds: int) -> None:
    """Give the browser a session that scripts cannot read and other sites cannot use.

    Where the request says that its page came over TLS, it never goes over anything else.
    """
    response.set_cookie(
        name,
        value,
        max_age=seconds,
        path=path,
        httponly=True,
        samesite="strict",
        secure=came_over_tls(request),
    )
