"""Who gets into which page, and what pages make of values that no page of ours would send."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import httpx
import pytest

import app.pages
from tests.pages.conftest import ADMIN_KEY, Site
from tests.pages.doors import OPEN, Door, doors

FORM = {"Content-Type": "application/x-www-form-urlencoded"}
NAMES = (
    *("back", "before", "category", "city", "cursor", "from", "generation", "id", "kind", "lang", "language", "left"),
    *("page", "post", "radius", "right", "span", "state", "title", "user", "users", "words", "zone"),
)
HOSTILE = ["", "\0", "9" * 5000, "9" * 18, "9" * 19, "-1", "1e9", "٣", "²", "nan", "\ud800", "a" * 5000, "%s{0}'\"\\"]
KNOWN = {"id": "person-009", "user": "person-009", "post": "demo-0001"}
GUARDED = [one for one in doors() if not one.is_open]
READ = [one for one in doors() if one.method == "GET"]


def name_of(door: Door) -> str:
    return f"{door.method} {door.path}"


def quoted(value: str) -> str:
    return quote(value.encode("utf-8", "surrogatepass"), safe="")


def query(values: dict[str, str]) -> str:
    return "&".join(f"{name}={quoted(value)}" for name, value in values.items())


def hostile_queries() -> Iterator[tuple[str, dict[str, str]]]:
    """Each value under all names, and beside things that are there; of long ones only so many fit into an address."""
    for value in HOSTILE:
        at_once = 8 if len(value) > 1000 else len(NAMES)
        for first in range(0, len(NAMES), at_once):
            values = dict.fromkeys(NAMES[first : first + at_once], value)
            yield value, values
            yield value, {name: one for name, one in (values | KNOWN).items() if name != "cursor"}


@pytest.fixture(scope="module")
def http(site: Site) -> Iterator[httpx.Client]:
    """A browser that is signed in and looks at the demo."""
    with httpx.Client(base_url=site.address, headers={"Origin": site.address}, timeout=30) as http:
        http.get("/demo").raise_for_status()
        assert http.post("/admin/sign-in", headers=FORM, content=f"key={ADMIN_KEY}").status_code == 303
        yield http


def test_every_page_has_the_guard_of_its_part_but_those_that_are_open_on_purpose() -> None:
    assert [name_of(one) for one in doors() if one.is_open == one.is_guarded] == []
    assert {one.path for one in doors()} >= OPEN


@pytest.mark.parametrize("cookie", ["", "tuwen_admin=e30.AAAA; tuwen_demo=e30.AAAA"])
@pytest.mark.parametrize("door", GUARDED, ids=name_of)
def test_no_guarded_page_opens_without_its_session(site: Site, door: Door, cookie: str) -> None:
    headers = FORM | {"Origin": site.address, "Cookie": cookie}

    answer = httpx.request(door.method, site.address + door.filled(), headers=headers, content="x=1")

    assert answer.status_code == 403


@pytest.mark.parametrize("door", [one for one in GUARDED if one.method != "GET"], ids=name_of)
def test_no_page_takes_a_write_from_a_foreign_page(http: httpx.Client, door: Door) -> None:
    body = {"user_id": "person-009", "behaviours": [], "exposures": []}  # of a good form, for those that read it first

    answer = http.request(door.method, door.filled(), headers={"Origin": "https://evil.example"}, json=body)

    assert answer.status_code == 403


def test_the_names_of_all_queries_are_known_here() -> None:
    sources = [file.read_text() for file in Path(app.pages.__path__[0]).rglob("*.py")]

    asked = {name for one in sources for name in re.findall(r'\bquery(?:_params)?\.get\("(\w+)"', one)}

    assert len(asked) > 10
    assert asked <= set(NAMES)


@pytest.mark.parametrize("door", READ, ids=name_of)
def test_no_value_of_a_query_or_path_makes_a_page_fail(http: httpx.Client, door: Door) -> None:
    failed = []
    for value, values in hostile_queries():
        answer = http.get(f"{door.filled(quoted(value) or '%20')}?{query(values)}")
        failed += [(value[:20], list(values), answer.status_code)] if answer.is_server_error else []

    assert failed == []
