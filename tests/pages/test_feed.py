"""The demo feed as people see it: a real browser on a real service."""

from __future__ import annotations

import psycopg
import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect

from tests.pages.conftest import DESK, PHONE, Scheme, Site, broken_rules, opened, overflow, save_picture

pytestmark = pytest.mark.browser
SCHEMES: tuple[Scheme, ...] = ("light", "dark")


def _titles(page: Page) -> list[str]:
    return page.locator(".card h2").all_text_contents()


def _rows(site: Site, table: str, user_id: str) -> list[tuple[str, ...]]:
    assert site.settings.database_url is not None
    columns = {"exposures": "post_id", "behaviours": "post_id, kind"}[table]
    with psycopg.connect(site.settings.database_url.get_secret_value()) as connection:
        return connection.execute(f"SELECT {columns} FROM {table} WHERE user_id = %s", [user_id]).fetchall()


@pytest.mark.parametrize("size", [PHONE, DESK], ids=["phone", "desk"])
@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_feed_fits_its_screen(
    site: Site, browser: Browser, size: ViewportSize, scheme: Scheme, language: str, pictures: bool
) -> None:
    with opened(browser, size, scheme) as page:
        page.goto(f"{site.address}/demo?lang={language}")

        expect(page.locator(".card")).to_have_count(16)
        expect(page.locator(".card .picture img").first).to_have_js_property("naturalWidth", 224)
        assert overflow(page) <= 0
        expect(page.locator(".simulated")).to_contain_text("simulated" if language == "en" else "模拟")
        expect(page.locator(".credit")).to_contain_text("OpenMoji")
        if size == DESK:
            assert broken_rules(page) == []
            if pictures and (scheme, language) == ("light", "en"):
                save_picture(page, "demo")


def test_what_comes_into_sight_is_recorded_as_shown(site: Site, browser: Browser) -> None:
    with opened(browser) as page:
        page.goto(f"{site.address}/demo?user=person-002")
        with page.expect_response("**/demo/exposures"):
            page.mouse.wheel(0, 300)

        shown = {row[0] for row in _rows(site, "exposures", "person-002")}
        seen = page.locator(".card[data-shown-at]").evaluate_all("cards => cards.map(card => card.dataset.post)")
        assert shown == set(seen)
        assert 0 < len(shown) < 16


def test_a_like_turns_the_feed_and_is_named_as_the_reason(site: Site, browser: Browser) -> None:
    with opened(browser) as page:
        page.goto(f"{site.address}/demo?user=person-003&lang=en")
        before, card = _titles(page), page.locator(".card").nth(1)
        liked = card.locator("h2").text_content()
        with page.expect_response("**/demo/strip*"):
            card.locator("[data-kind=like]").click()
        expect(card.locator("[data-kind=like]")).to_have_attribute("aria-pressed", "true")
        page.click("#refresh")

        expect(page.locator(".reason", has_text=f"because you liked «{liked}»").first).to_be_visible()
        expect(page.locator(".card h2", has_text=liked)).to_have_count(0)
        assert _titles(page) != before
        expect(page.locator("#strip li")).to_have_count(1)


def test_all_five_behaviours_arrive(site: Site, browser: Browser) -> None:
    with opened(browser) as page:
        page.goto(f"{site.address}/demo?user=person-004")
        card = page.locator(".card").first
        for kind in ("like", "favourite", "share", "comment"):
            with page.expect_response("**/demo/strip*"):
                card.locator(f".acts [data-kind={kind}]").click()
        with page.expect_response("**/demo/strip*"):
            card.locator(".picture").click()
        expect(page.locator("#closer")).to_be_visible()
        assert "/demo/pictures/" in (page.locator("#closer-picture").get_attribute("src") or "")
        assert "/demo/thumbnails/" in (card.locator(".picture img").get_attribute("src") or "")
        page.locator("#closer button").click()
        expect(page.locator("#closer")).to_be_hidden()

        kinds = {row[1] for row in _rows(site, "behaviours", "person-004")}
        assert kinds == {"click", "like", "favourite", "share", "comment"}


def test_what_is_not_wanted_never_comes_back(site: Site, browser: Browser) -> None:
    with opened(browser) as page:
        page.goto(f"{site.address}/demo?user=person-008&lang=en")
        card = page.locator(".card").first
        title = card.locator("h2").text_content()
        with page.expect_response("**/demo/strip*"):
            card.locator(".not-interested").click()
        expect(page.locator("#toast")).to_contain_text("no more of this")
        with page.expect_response("**/demo/cards*"):
            page.click("#refresh")

        expect(page.locator(".card h2", has_text=title)).to_have_count(0)
        expect(page.locator("#strip li")).to_have_count(0)


def test_the_feed_goes_on_by_itself_when_its_end_comes_near(site: Site, browser: Browser) -> None:
    with opened(browser, PHONE) as page:
        page.goto(f"{site.address}/demo?user=person-001")
        with page.expect_response("**/demo/cards*"):
            page.evaluate("scrollTo(0, document.body.scrollHeight)")

        expect(page.locator(".card").nth(31)).to_be_attached()


def test_a_city_and_a_radius_show_only_what_is_there(site: Site, browser: Browser) -> None:
    with opened(browser) as page:
        page.goto(f"{site.address}/demo?user=person-002&lang=en")
        page.select_option("#city", "上海")
        page.wait_for_url("**city=%E4%B8%8A%E6%B5%B7**")
        assert set(page.locator(".card .facts > span:nth-child(2)").all_text_contents()) == {"上海"}
        in_the_city = page.locator(".card").count()
        page.select_option("#radius", "2")
        page.wait_for_url("**radius=2**")

        assert 0 < page.locator(".card").count() < in_the_city


def test_the_panel_shows_what_comes_in_and_what_serves(site: Site, browser: Browser) -> None:
    with opened(browser) as page:
        page.goto(f"{site.address}/demo?user=person-001&lang=en")
        before = int((page.locator(".live-counts dd").first.text_content() or "").replace(",", ""))
        with page.expect_response("**/demo/exposures"):
            page.mouse.wheel(0, 900)

        expect(page.locator(".live-counts dd").first).not_to_have_text(f"{before:,}", timeout=15_000)
        expect(page.locator("#live code")).not_to_be_empty()


def test_load_more_goes_on_without_repeating(site: Site, browser: Browser) -> None:
    with opened(browser) as page:
        page.goto(f"{site.address}/demo?user=person-005")
        with page.expect_response("**/demo/cards*"):
            page.click("#more")
        expect(page.locator(".card")).to_have_count(32)

        posts = page.locator(".card").evaluate_all("cards => cards.map(card => card.dataset.post)")
        places = page.locator(".card").evaluate_all("cards => cards.map(card => Number(card.dataset.position))")
        assert len(set(posts)) == 32
        assert places == list(range(32))


def test_a_category_shows_only_its_posts(site: Site, browser: Browser) -> None:
    with opened(browser) as page:
        page.goto(f"{site.address}/demo?user=person-006&lang=en")
        page.locator(".chips").get_by_text("Food", exact=True).click()

        page.wait_for_url("**category=food**")
        assert set(page.locator(".category").all_text_contents()) == {"Food"}


def test_a_new_visitor_starts_with_nothing(site: Site, browser: Browser) -> None:
    with opened(browser) as page:
        page.goto(f"{site.address}/demo?lang=en")
        first = page.locator("#cards").get_attribute("data-user")
        page.get_by_text("New visitor", exact=True).click()
        page.wait_for_url("**/demo?lang=en")

        assert (first or "").startswith("visitor-")
        assert page.locator("#cards").get_attribute("data-user") not in (None, first)
        expect(page.locator("#strip")).to_contain_text("Nothing yet")


def test_choosing_a_person_shows_his_feed(site: Site, browser: Browser) -> None:
    with opened(browser) as page:
        page.goto(f"{site.address}/demo")
        page.select_option("#user", "person-007")
        page.wait_for_url("**user=person-007**")

        assert page.locator("#cards").get_attribute("data-user") == "person-007"
