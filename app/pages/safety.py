"""Requests and answers of pages -> what keeps them safe in a browser: headers, and no writing from foreign pages."""

from __future__ import annotations

from collections.abc import Mapping
from urllib.parse import urlsplit

from starlette.requests import Request

from app.errors import NotAllowed

# No inline script or style, nothing from elsewhere, no frame around us.
CONTENT_POLICY = (
    "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
PAGE_HEADERS: Mapping[str, str] = {
    "Content-Security-Policy": CONTENT_POLICY,
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "same-origin",  # with no-referrer, browsers would hide the origin of our own forms too
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), microphone=(), geolocation=()",
    "Cache-Control": "no-store",
}
# Content named by its hash or shipped with the code.
FILE_HEADERS: Mapping[str, str] = {
    "X-Content-Type-Options": "nosniff",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Content-Security-Policy": "default-src 'none'; sandbox",
}


def refuse_foreign_page(request: Request) -> None:
    """Let a write through only from a page of this very origin. Raises NotAllowed.

    Browsers say where a request comes from; a request that does not say is no page's, and programs have the API.
    """
    site = request.headers.get("sec-fetch-site")
    origin = request.headers.get("origin")
    if site is not None and site != "same-origin":
        raise NotAllowed("this page takes input from its own pages only")
    if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
        raise NotAllowed("this page takes input from its own pages only")
    if site is None and origin is None:
        raise NotAllowed("this page takes input from a browser; programs use the API with a key")


def came_over_tls(request: Request) -> bool:
    """Whether the page that wrote came over TLS. Only its origin says so: a proxy speaks plain HTTP to the service.

    Ask after `refuse_foreign_page`. Browsers name no origin when a page is only read.
    """
    return request.headers.get("origin", "").startswith("https://")
