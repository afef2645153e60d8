"""The documents as a site: it builds strictly, every page is in it, and it loads nothing from elsewhere."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from playwright.sync_api import Browser, expect

from tests.pages.conftest import browser, opened, overflow  # noqa: F401 - a fixture

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)],
        cwd=ROOT,
        env=os.environ | {"NO_MKDOCS_2_WARNING": "1"},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_every_page_and_every_linked_source_is_in_it(site: Path):
    pages = {page.relative_to(site).as_posix() for page in site.rglob("*.html")}

    assert {f"{page.stem}.html" for page in (ROOT / "docs").glob("*.md")} <= pages
    assert {"tree/index.html", "tree/SECURITY.html", "tree/models/behaviour_fusion.py.html"} <= pages


def test_it_can_be_searched_in_english_and_chinese(site: Path):
    pages = json.loads((site / "search" / "search_index.json").read_text())["docs"]
    words = " ".join(page["title"] + page["text"] for page in pages)

    assert "reference posts" in words
    assert "快速上手" in words


def test_no_page_loads_anything_from_elsewhere(site: Path):
    loads = re.compile(r'<(?:script|img|link rel="stylesheet")[^>]+(?:src|href)="(https?:[^"]+)"')
    loaded = {address for page in site.rglob("*.html") for address in loads.findall(page.read_text())}

    assert loaded == set()


@pytest.mark.browser
def test_opened_from_the_disk_it_fits_its_window_and_is_searched(site: Path, browser: Browser):  # noqa: F811
    with opened(browser) as page:
        page.goto((site / "tree" / "SECURITY.html").as_uri())
        page.keyboard.press("/")
        page.keyboard.type("dead letters")

        expect(page.locator(".md-search-result__item").first).to_be_visible()
        page.goto((site / "console.html").as_uri())
        assert overflow(page) <= 0
        assert page.locator("article img").evaluate_all("all => all.every(one => one.complete && one.naturalWidth)")
