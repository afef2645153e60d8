from __future__ import annotations

import pytest
from starlette.requests import Request

from app.errors import NotAllowed
from app.pages.safety import CONTENT_POLICY, refuse_foreign_page


def _request(**headers: str) -> Request:
    raw = [(name.replace("_", "-").encode(), value.encode()) for name, value in headers.items()]
    return Request({"type": "http", "method": "POST", "path": "/demo/behaviours", "headers": raw})


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "feed.example", "sec_fetch_site": "same-origin", "origin": "https://feed.example"},
        {"host": "127.0.0.1:8000", "origin": "http://127.0.0.1:8000"},
        {"host": "127.0.0.1:8000", "sec_fetch_site": "same-origin"},
    ],
)
def test_a_page_of_this_origin_may_write(headers: dict[str, str]) -> None:
    refuse_foreign_page(_request(**headers))


@pytest.mark.parametrize(
    "headers",
    [
        {"host": "feed.example", "sec_fetch_site": "cross-site", "origin": "https://evil.example"},
        {"host": "feed.example", "sec_fetch_site": "same-site", "origin": "https://other.feed.example"},
        {"host": "feed.example", "origin": "https://evil.example"},
        {"host": "feed.example", "origin": "null"},
        {"host": "feed.example", "sec_fetch_site": "none"},
        {"host": "feed.example"},
    ],
)
def test_another_page_and_a_request_without_a_page_may_not(headers: dict[str, str]) -> None:
    with pytest.raises(NotAllowed):
        refuse_foreign_page(_request(**headers))


def test_the_content_policy_allows_no_inline_script() -> None:
    assert "unsafe-inline" not in CONTENT_POLICY
    assert "default-src 'none'" in CONTENT_POLICY
