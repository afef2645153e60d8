"""The console erases a person: who types the id gets a receipt, and the person is gone."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import count

import httpx
import pytest
from playwright.sync_api import Browser, Page, expect

from tests.pages.conftest import ADMIN_KEY, CLIENT_KEY, DESK, PHONE, Site, broken_rules, opened, overflow, save_picture

pytestmark = pytest.mark.browser
LOOKS = {"en-GB": (DESK, "light"), "zh-CN": (PHONE, "dark")}
numbers = count(1)


@pytest.fixture
def api(site: Site) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=site.address, headers={"Authorization": f"Bearer {CLIENT_KEY}"}) as api:
        yield api


@pytest.fixture
def person(request: pytest.FixtureRequest, api: httpx.Client) -> str:
    """Somebody of whom something is known."""
    user_id = f"leaving-{next(numbers)}" + "-of-a-long-name" * getattr(request, "param", 0)
    api.put(f"/users/{user_id}", json={"attributes": {"age": 30}}).raise_for_status()
    showing = {"user_id": user_id, "post_id": "demo-0001", "exposure_id": user_id, "shown_at": "2026-03-01T12:00:00Z"}
    api.post("/exposures", json={"exposures": [showing]}).raise_for_status()
    return user_id


@pytest.fixture(params=list(LOOKS))
def page(request: pytest.FixtureRequest, site: Site, browser: Browser) -> Iterator[Page]:
    size, scheme = LOOKS[request.param]
    with opened(browser, size, scheme, request.param) as page:
        page.goto(f"{site.address}/admin")
        page.fill("#key", ADMIN_KEY)
        page.locator(".sign-in button").click()
        page.wait_for_selector("#content")
        yield page


def erase(page: Page, *, typed: str) -> None:
    page.fill("#typed", typed)
    page.locator("button.grave").click()


@pytest.mark.parametrize("person", [0, 7], ids=["short id", "long id"], indirect=True)
def test_an_erased_person_leaves_a_receipt_that_can_be_read_by_everybody(
    site: Site, page: Page, person: str, pictures: bool
) -> None:
    page.goto(f"{site.address}/admin/user?id={person}")
    assert overflow(page) <= 0
    erase(page, typed=person)
    names, counts = (page.locator(f".receipt .deleted {one}").all_text_contents() for one in ("dt", "dd"))
    deleted = dict(zip(names, counts, strict=True))

    assert (page.locator("#receipt").text_content() or "").startswith("erasure-")
    assert "1" == deleted.get("exposures", deleted.get("曝光")) == deleted.get("user records", deleted.get("用户记录"))
    assert overflow(page) <= 0
    assert broken_rules(page) == []
    if pictures and page.viewport_size == DESK and len(person) < 20:
        save_picture(page, "erased")


def test_an_erased_person_does_not_come_back_and_the_audit_says_who_erased_somebody(
    site: Site, page: Page, person: str, api: httpx.Client
) -> None:
    page.goto(f"{site.address}/admin/user?id={person}")
    erase(page, typed=person)
    receipt = page.locator("#receipt").text_content() or ""
    page.goto(f"{site.address}/admin/audit")
    entry = page.locator("tbody tr").first.text_content() or ""
    late = api.put(f"/users/{person}", json={"attributes": {"age": 31}})
    page.goto(f"{site.address}/admin/user?id={person}")
    erase(page, typed=f" {person} ")

    assert re.search(r"key-\w+ \(console\)", entry)
    assert receipt in entry
    assert person not in entry
    assert late.status_code == 410
    expect(page.locator("#receipt")).to_have_text(receipt)


def test_who_types_another_id_erases_nobody(site: Site, person: str, api: httpx.Client) -> None:
    form = {"Content-Type": "application/x-www-form-urlencoded", "Origin": site.address}
    with httpx.Client(base_url=site.address, headers=form) as browser:
        browser.post("/admin/sign-in", content=f"key={ADMIN_KEY}")
        answers = [
            browser.post("/admin/user/erase", content=f"id={person}&typed={typed}")
            for typed in ("", "yes", person.upper(), person[:-1], "%00")
        ]
        nobody = browser.post("/admin/user/erase", content="id=%00&typed=%00")

    assert [answer.status_code for answer in answers] == [422] * 5
    assert all("What was typed is not the id." in answer.text for answer in answers)
    assert nobody.status_code == 404
    assert api.put(f"/users/{person}", json={"attributes": {"age": 30}}).json()["status"] == "duplicate"
