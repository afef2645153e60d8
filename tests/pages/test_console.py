"""The console as admins see it: a real browser on a real service, every room, and what is done in them.

`--pictures` saves what is seen into docs/pictures.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from urllib.parse import quote

import pytest
from playwright.sync_api import Browser, Page, expect

from tests.pages.conftest import ADMIN_KEY, DESK, PHONE, Scheme, Site, broken_rules, opened, overflow, save_picture

pytestmark = pytest.mark.browser
ROOMS = {
    "overview": "/admin",
    "posts": "/admin/posts",
    "alike": "/admin/alike",
    "post": "/admin/post?id=demo-0003",
    "users": "/admin/users",
    "user": "/admin/user?id=person-009",
    "why": "/admin/why?user=person-009&post=demo-0003",
    "generations": "/admin/generations",
    "compare": "/admin/generations/compare?users=person-009,person-010",
    "dry-run": "/admin/generations/dry-run",
    "map": "/admin/map",
    "training": "/admin/training",
    "jobs": "/admin/jobs",
    "dead-letters": "/admin/dead-letters",
    "audit": "/admin/audit",
    "keys": "/admin/keys",
}
SAVED_WHEN_FULL = ("alike", "map", "audit")  # by tests which do something there first
LOOKS: dict[str, tuple[str, Scheme]] = {"en-GB": ("desk", "light"), "zh-CN": ("phone", "dark")}


def _sign_in(page: Page, site: Site) -> None:
    page.goto(f"{site.address}/admin")
    page.fill("#key", ADMIN_KEY)
    page.locator(".sign-in button").click()
    page.wait_for_selector("#content")


@pytest.fixture(scope="module", params=list(LOOKS))
def seen(request: pytest.FixtureRequest, site: Site, browser: Browser) -> Iterator[Page]:
    """A signed-in browser: on a desk in English and light, on a phone in Chinese and dark."""
    device, scheme = LOOKS[request.param]
    with opened(browser, DESK if device == "desk" else PHONE, scheme, request.param) as page:
        _sign_in(page, site)
        yield page


@pytest.mark.parametrize("room", ROOMS)
def test_a_room_fits_its_screen_and_can_be_read_by_everybody(room: str, site: Site, seen: Page, pictures: bool) -> None:
    seen.goto(site.address + ROOMS[room])
    seen.wait_for_load_state("networkidle")

    assert overflow(seen) <= 0
    assert broken_rules(seen) == []
    if pictures and seen.viewport_size == DESK and room not in SAVED_WHEN_FULL:
        save_picture(seen, room)


@pytest.fixture
def desk(site: Site, browser: Browser) -> Iterator[Page]:
    with opened(browser) as page:
        _sign_in(page, site)
        yield page


def test_changing_only_the_title_changes_what_is_alike(site: Site, desk: Page, pictures: bool) -> None:
    picture = next((site.settings.home / "demo").rglob("*.png"))
    desk.goto(f"{site.address}/admin/alike")
    desk.set_input_files("#picture", picture)
    results = []
    for title in ("noodles", "a quiet walk"):
        desk.fill("#title", title)
        with desk.expect_response("**/admin/alike?*"):
            desk.locator("#likeness button[type=submit]").click()
        expect(desk.locator("#found .tile")).to_have_count(24)
        results.append(desk.locator("#found .tile-title").all_text_contents())
    if pictures:
        save_picture(desk, "alike")

    assert results[0] != results[1]


def test_a_hidden_post_is_recommended_no_more_and_the_audit_says_who_hid_it(
    site: Site, desk: Page, pictures: bool
) -> None:
    desk.goto(f"{site.address}/admin/user?id=person-010")
    link = desk.locator(".rows li a").first
    title, address = link.text_content(), link.get_attribute("href")
    desk.goto(site.address + (address or ""))
    desk.get_by_role("button", name="Hide from recommendation").click()
    expect(desk.locator(".lead")).to_contain_text("hidden")
    post = desk.url
    desk.goto(f"{site.address}/admin/user?id=person-010")
    expect(desk.locator(".two .rows").first.locator("strong", has_text=title)).to_have_count(0)
    desk.goto(f"{site.address}/admin/audit")
    expect(desk.locator("tbody tr").first).to_contain_text("hide a post")
    if pictures:
        save_picture(desk, "audit")
    desk.goto(post)
    desk.get_by_role("button", name="Show it again").click()
    expect(desk.get_by_role("button", name="Hide from recommendation")).to_be_visible()


def test_a_pinned_post_is_the_first_that_a_user_gets_until_it_is_unpinned(site: Site, desk: Page) -> None:
    post = f"{site.address}/admin/post?id=demo-0011"
    desk.goto(post)
    title = desk.locator("h1").text_content() or ""
    desk.get_by_role("button", name="Pin: first for everybody").click()
    expect(desk.locator(".lead")).to_contain_text("pinned")
    desk.goto(f"{site.address}/admin/user?id=person-new")
    expect(desk.locator(".two .rows").first.locator("li").first).to_contain_text(title)
    desk.goto(f"{site.address}/admin/why?user=person-new&post=demo-0011")
    expect(desk.locator(".calm")).to_contain_text("It is pinned")
    desk.goto(f"{site.address}/admin/posts?state=pinned")
    expect(desk.locator(".tile")).to_have_count(1)
    desk.goto(post)
    desk.get_by_role("button", name="Unpin").click()

    expect(desk.get_by_role("button", name="Pin: first for everybody")).to_be_visible()


def test_an_edited_post_keeps_what_was_typed(site: Site, desk: Page) -> None:
    desk.goto(f"{site.address}/admin/post?id=demo-0005")
    desk.fill("#tags", "一, two")
    desk.fill("#title", "Tea by the lake")
    desk.get_by_role("button", name="Save changes").click()

    expect(desk.locator("h1")).to_have_text("Tea by the lake")
    expect(desk.locator("#tags")).to_have_value("一, two")


def test_a_title_that_cannot_be_is_refused_with_a_reason(site: Site, desk: Page) -> None:
    desk.goto(f"{site.address}/admin/post?id=demo-0006")
    answer = desk.request.post(
        f"{site.address}/admin/post/edit",
        form={"id": "demo-0006", "title": " ", "category": "", "city": "", "tags": ""},
        headers={"Origin": site.address},
    )

    assert answer.status == 422
    assert "title" in answer.text()


def test_grids_load_small_copies_and_a_posts_page_the_picture_itself(site: Site, desk: Page) -> None:
    for room in ("posts", "user"):
        desk.goto(site.address + ROOMS[room])
        shown = desk.locator("#content img").evaluate_all("all => all.map(one => new URL(one.src).pathname)")
        assert len(shown) > 10
        assert all(path.startswith("/admin/thumbnails/") for path in shown)
    desk.goto(site.address + ROOMS["post"])

    assert "/admin/pictures/" in (desk.locator(".post-picture img").get_attribute("src") or "")


def test_the_search_finds_words_of_titles_and_pages_go_on(site: Site, desk: Page) -> None:
    desk.goto(f"{site.address}/admin/posts")
    first = desk.locator(".tile-title").all_text_contents()
    desk.get_by_role("link", name="Next").click()
    desk.wait_for_url("**page=1**")
    assert not set(first) & set(desk.locator(".tile-title").all_text_contents())

    desk.fill("#words", "demo-0007")
    desk.get_by_role("button", name="Find").click()
    expect(desk.locator(".tile")).to_have_count(1)


def test_one_page_answers_why_a_user_saw_a_post(site: Site, desk: Page) -> None:
    desk.goto(f"{site.address}/admin/user?id=person-011")
    acted = desk.locator(".reel .acted a").first.get_attribute("href") or ""
    desk.fill("#post", acted.split("id=")[1])
    desk.get_by_role("button", name="Why?").click()

    expect(desk.locator(".answer")).to_contain_text("It was shown")
    expect(desk.locator(".why")).to_contain_text("place among")
    expect(desk.locator(".why")).to_contain_text("person-011")


def test_a_post_that_was_never_shown_has_its_place_told(site: Site, desk: Page) -> None:
    desk.goto(f"{site.address}/admin/user?id=person-012")
    desk.locator(".chances a").first.click()

    expect(desk.locator(".answer")).to_contain_text("never shown")
    expect(desk.locator(".calm")).to_contain_text("No filter")


def test_an_unknown_user_and_post_are_told_as_such(site: Site, desk: Page) -> None:
    desk.goto(f"{site.address}/admin/why?user=nobody&post={quote('no/such post')}")

    expect(desk.locator(".warning")).to_contain_text("no vector")


def test_an_earlier_generation_serves_again_at_a_click(site: Site, desk: Page) -> None:
    desk.on("dialog", lambda dialog: dialog.accept())
    desk.goto(f"{site.address}/admin/generations")
    serving = desk.locator("tr", has=desk.locator(".state-serving")).locator("code").first.text_content()
    desk.get_by_role("button", name="Let it serve").first.click()
    expect(desk.locator("tr", has=desk.locator(".state-serving")).locator("code").first).not_to_have_text(serving or "")
    row = desk.locator("tr", has_text=serving)
    row.get_by_role("button", name="Let it serve").last.click()

    expect(desk.locator("tr", has=desk.locator(".state-serving")).locator("code").first).to_have_text(serving or "")


def test_a_key_is_shown_once_works_and_is_revoked(site: Site, desk: Page) -> None:
    desk.on("dialog", lambda dialog: dialog.accept())
    desk.goto(f"{site.address}/admin/keys")
    desk.fill("#name", "a test")
    desk.get_by_role("button", name="Make a key").click()
    secret = desk.locator("#secret").text_content() or ""
    assert len(secret) > 30
    desk.locator("tr", has_text="a test").get_by_role("button", name="Revoke").click()

    expect(desk.locator("tr", has_text="a test")).to_contain_text("revoked")
    assert secret not in desk.content()


def test_a_dead_letter_that_fails_again_counts_its_tries(site: Site, desk: Page) -> None:
    desk.goto(f"{site.address}/admin/dead-letters")
    row = desk.locator("tbody tr", has_text="no such post")
    tries = int(row.locator("td.number").text_content() or "")
    row.get_by_role("button", name="Try again").click()

    expect(desk.locator(".calm")).to_contain_text("1 failed")
    expect(desk.locator("tbody tr").first.locator("td.number")).to_have_text(str(tries + 1))


def test_the_map_goes_closer_by_keys_and_opens_a_post(site: Site, desk: Page, pictures: bool) -> None:
    desk.goto(f"{site.address}/admin/map")
    desk.wait_for_selector("#map[data-ready]")
    desk.focus("#canvas")
    for key in ("+", "+", "+", "ArrowLeft"):
        desk.keyboard.press(key)
    if pictures:
        desk.wait_for_load_state("networkidle")
        save_picture(desk, "map")
    desk.get_by_label("click rate").check()
    expect(desk.locator("#legend li")).to_have_count(6)
    desk.focus("#canvas")
    desk.keyboard.press("Enter")

    desk.wait_for_url("**/admin/post?id=**")
    desk.wait_for_load_state("networkidle")


def test_times_are_told_in_the_chosen_zone(site: Site, desk: Page) -> None:
    desk.goto(f"{site.address}/admin/jobs")
    expect(desk.locator("tbody time").first).to_contain_text("UTC")
    desk.select_option("#zone", "Asia/Shanghai")

    expect(desk.locator("tbody time").first).to_contain_text("UTC+8")
    assert desk.url.endswith("/admin/jobs")


def test_the_language_is_chosen_and_kept(site: Site, desk: Page) -> None:
    desk.get_by_role("link", name="中文").click()
    expect(desk.locator("h1")).to_have_text("总览")
    desk.goto(f"{site.address}/admin/keys")

    expect(desk.locator("h1")).to_have_text("密钥")


def test_the_rooms_are_reached_by_keyboard_and_the_first_stop_skips_them(site: Site, desk: Page) -> None:
    desk.goto(f"{site.address}/admin")
    desk.keyboard.press("Tab")

    assert desk.evaluate("document.activeElement.className") == "skip"
    expect(desk.locator(".rooms a")).to_have_count(10)


def test_places_of_the_map_come_with_rates_and_categories(site: Site, desk: Page) -> None:
    content = json.loads(desk.request.get(f"{site.address}/admin/map.json").text())

    assert len(content["posts"]) == content["living"] > 90
    assert 0 < content["kept_share"] <= 1
    assert all(-1 <= post[axis] <= 1 for post in content["posts"] for axis in "xy")
