"""What the pages answer to requests that no page of ours would send."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO

import httpx
import pytest
from PIL import Image

from app.api.guesses import GUESSES_AT_MOST
from app.storage.pictures import PictureFolder
from tests.intake.records import picture
from tests.pages.conftest import ADMIN_KEY, CLIENT_KEY, OPS_KEY, Site

FORM = {"Content-Type": "application/x-www-form-urlencoded"}


@pytest.fixture
def http(site: Site) -> Iterator[httpx.Client]:
    """A client that looks like a page of the service."""
    with httpx.Client(base_url=site.address, headers={"Origin": site.address}) as http:
        yield http


@pytest.fixture
def ops(site: Site) -> Iterator[httpx.Client]:
    """A client of the API with the key of the operators."""
    with httpx.Client(base_url=site.address, headers={"Authorization": f"Bearer {OPS_KEY}"}) as ops:
        yield ops


@contextmanager
def _scene(ops: httpx.Client, scene: str, **parameters: float) -> Iterator[None]:
    """A scene with these parameters while the block runs."""
    ops.put(f"/scenes/{scene}", json=parameters).raise_for_status()
    try:
        yield
    finally:
        ops.delete(f"/scenes/{scene}").raise_for_status()


def _act(user_id: str, post_id: str = "demo-0001") -> dict[str, object]:
    return {"user_id": user_id, "behaviours": [{"exposure_id": "e", "post_id": post_id, "kind": "like"}]}


@pytest.mark.parametrize("path", ["/demo", "/admin"])
def test_every_page_carries_a_strict_policy_and_is_not_kept(http: httpx.Client, path: str) -> None:
    headers = http.get(path).headers

    assert "default-src 'none'" in headers["Content-Security-Policy"]
    assert "unsafe" not in headers["Content-Security-Policy"]
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Cache-Control"] == "no-store"


def test_pages_hold_no_inline_script_and_no_foreign_address(http: httpx.Client) -> None:
    html = http.get("/demo?user=person-001").text

    assert re.findall(r"<script(?![^>]*src=)", html) == []
    assert re.findall(r'\son\w+=|style="', html) == []
    assert re.findall(r'(?:src|href)="https?://(?!creativecommons\.org|openmoji\.org)', html) == []


def test_the_demo_session_cannot_be_read_by_scripts_or_used_by_other_sites(http: httpx.Client) -> None:
    cookie = http.get("/demo").headers["Set-Cookie"].lower()

    assert "httponly" in cookie
    assert "samesite=strict" in cookie
    assert "path=/demo" in cookie


def test_the_page_acts_for_simulated_people_and_its_own_visitor_only(http: httpx.Client) -> None:
    http.get("/demo")

    assert http.post("/demo/behaviours", json=_act("person-009")).status_code == 204
    assert http.post("/demo/behaviours", json=_act("a-real-user")).status_code == 403
    assert http.post("/demo/behaviours", json=_act("visitor-of-somebody-else")).status_code == 403


def test_the_feed_obeys_the_settings_of_its_scene(http: httpx.Client, ops: httpx.Client) -> None:
    with _scene(ops, "demo page", category_posts_at_most=1):
        categories = re.findall(r'class="category category-(\w+)"', http.get("/demo?user=person-004").text)

    assert len(categories) > 1
    assert len(set(categories)) == len(categories)


def test_the_console_shows_the_page_that_the_settings_make_twice_the_same(
    http: httpx.Client, ops: httpx.Client
) -> None:
    http.post("/admin/sign-in", headers=FORM, content=f"key={ADMIN_KEY}")
    with _scene(ops, "default", author_posts_at_most=1, exploration_share=0.1):
        shown = [http.get("/admin/user?id=person-004").text for _ in range(2)]
    pages = [re.findall(r"/admin/why[^\"]*post=([\w-]+)", one) for one in shown]

    authors = [ops.get(f"/posts/{post_id}").json()["author_id"] for post_id in pages[0]]
    assert len(authors) > 1
    assert len(set(authors)) == len(authors)
    assert pages[0] == pages[1]


def test_another_site_cannot_act_through_the_page(http: httpx.Client) -> None:
    http.get("/demo")

    foreign = {"Origin": "https://evil.example"}
    assert http.post("/demo/behaviours", json=_act("person-009"), headers=foreign).status_code == 403
    assert http.post("/demo/visitor", headers=foreign | FORM, content="lang=en").status_code == 403
    assert http.post("/admin/sign-in", headers=foreign | FORM, content="key=x").status_code == 403


@pytest.mark.parametrize(
    "body",
    [
        {"user_id": "person-001"},
        {"user_id": "person-001", "behaviours": [{"exposure_id": "e", "post_id": "p", "kind": "stare"}]},
        {"user_id": "\u0000", "behaviours": []},
        {"user_id": "person-001", "behaviours": [{}] * 1000},
    ],
)
def test_a_report_that_no_page_sends_is_refused_without_an_echo(http: httpx.Client, body: dict[str, object]) -> None:
    http.get("/demo")

    answer = http.post("/demo/behaviours", json=body)

    assert answer.status_code == 422
    assert "stare" not in answer.text


@pytest.mark.parametrize(
    ("path", "length"), [("/admin/sign-in", 5000), ("/demo/visitor", 5000), ("/demo/behaviours", 300_000)]
)
def test_no_page_reads_more_than_it_sends(http: httpx.Client, path: str, length: int) -> None:
    http.get("/demo")

    assert http.post(path, headers=FORM, content="x" * length).status_code == 413


def test_the_longest_edit_of_a_post_is_read(http: httpx.Client) -> None:
    http.post("/admin/sign-in", headers=FORM, content=f"key={ADMIN_KEY}")
    word = "🍜" * 200

    edit = {"id": "none", "title": word * 5, "category": word, "city": word, "tags": ", ".join([word] * 100)}
    assert http.post("/admin/post/edit", data=edit).status_code == 404


@pytest.mark.parametrize("name", ["..%2f..%2froutes.py", "routes.py", "nothing.css", "%00"])
def test_only_files_of_the_static_folder_are_served(site: Site, name: str) -> None:
    assert httpx.get(f"{site.address}/pages/static/{name}").status_code == 404


@pytest.mark.parametrize("name", ["0" * 64, "..%2fpages.key", "A" * 64])
def test_a_picture_that_is_not_there_is_not_found(http: httpx.Client, name: str) -> None:
    http.get("/demo")

    assert http.get(f"/demo/pictures/{name}").status_code == 404
    assert http.get(f"/demo/thumbnails/{name}").status_code == 404


@pytest.mark.parametrize(
    "query", ["user=%00", "user=person-%ff", "user=person-%00", "category=%00", "from=99999999999999999999&cursor=x"]
)
def test_strange_queries_are_answered_without_an_error(http: httpx.Client, query: str) -> None:
    http.get("/demo")

    assert http.get(f"/demo?{query}").status_code < 500
    assert http.get(f"/demo/cards?{query}").status_code < 500


def test_the_admin_page_takes_an_admin_key_only(http: httpx.Client) -> None:
    refused = http.post("/admin/sign-in", headers=FORM, content=f"key={CLIENT_KEY}")
    accepted = http.post("/admin/sign-in", headers=FORM, content=f"key={ADMIN_KEY}")

    assert refused.status_code == 403
    assert "no admin key" in refused.text
    assert accepted.status_code == 303
    assert "httponly" in accepted.headers["Set-Cookie"].lower()
    assert "How much there is" in http.get("/admin").text


def test_a_grid_gets_a_small_copy_that_is_made_once(site: Site, http: httpx.Client) -> None:
    http.get("/demo")
    pictures = PictureFolder(site.settings.pictures)
    large = pictures.save(picture("JPEG", size=(1600, 1200)))
    first = http.get(f"/demo/thumbnails/{large}")
    pictures.path(large).unlink()
    second = http.get(f"/demo/thumbnails/{large}")

    assert Image.open(BytesIO(first.content)).size == (384, 288)
    assert first.headers["Content-Type"] == "image/webp"
    assert "immutable" in first.headers["Cache-Control"]
    assert (second.status_code, second.content) == (200, first.content)


@pytest.mark.parametrize("user_id", ["%3Cscript%3Ealert(1)%3C%2Fscript%3E", "%00", "%F0%9F%8D%9C" * 60, "a" * 4000])
def test_a_strange_user_id_is_shown_as_text(http: httpx.Client, user_id: str) -> None:
    http.post("/admin/sign-in", headers=FORM, content=f"key={ADMIN_KEY}")

    answer = http.get(f"/admin/user?id={user_id}")

    assert answer.status_code < 500
    assert "<script>" not in answer.text


@pytest.mark.parametrize(
    "back", ["//evil.example", "https://evil.example", "/demo", "/admin\\@evil.example", "/admin/\r\nX: y", "/adminx"]
)
def test_preferences_lead_back_into_the_console_only(http: httpx.Client, back: str) -> None:
    answer = http.get("/admin/preferences", params={"language": "zh", "back": back})

    assert (answer.status_code, answer.headers["Location"]) == (303, "/admin")


def test_the_catalogue_is_downloaded_as_a_sheet(http: httpx.Client) -> None:
    http.post("/admin/sign-in", headers=FORM, content=f"key={ADMIN_KEY}")

    lines = http.get("/admin/posts.csv").text.splitlines()

    assert lines[0].startswith("\ufeffpost_id,title,category")
    assert len(lines) == 97


@contextmanager
def _from(site: Site, source: str) -> Iterator[httpx.Client]:
    """A browser on another address: who guesses waits, and with him whoever shares his."""
    headers = FORM | {"Origin": site.address}
    with httpx.Client(
        base_url=site.address, headers=headers, transport=httpx.HTTPTransport(local_address=source)
    ) as one:
        yield one


def test_guessing_the_admin_key_is_slowed_down_and_locks_no_admin_out(site: Site) -> None:
    with _from(site, "127.0.0.9") as guesser:
        answers = [
            guesser.post("/admin/sign-in", content=f"key=guess{number}") for number in range(GUESSES_AT_MOST + 2)
        ]
        admin = guesser.post("/admin/sign-in", content=f"key={ADMIN_KEY}")
        api = guesser.get("/metrics", headers={"Authorization": "Bearer guess"})

    assert [answer.status_code for answer in answers] == [403] * GUESSES_AT_MOST + [429] * 2
    assert int(answers[-1].headers["Retry-After"]) > 0
    assert admin.status_code == 303
    assert api.status_code == 429


def test_a_session_that_began_over_tls_is_never_sent_without(http: httpx.Client, site: Site) -> None:
    over_tls = {"Origin": site.address.replace("http:", "https:")}  # the proxy's side; it speaks plain HTTP to us

    plain = http.post("/admin/sign-in", headers=FORM, content=f"key={ADMIN_KEY}")
    tls = http.post("/admin/sign-in", headers=FORM | over_tls, content=f"key={ADMIN_KEY}")
    demo = http.post("/demo/visitor", headers=FORM | over_tls, content="lang=en")

    assert "; secure" not in plain.headers["Set-Cookie"].lower()
    assert "; secure" in tls.headers["Set-Cookie"].lower()
    assert "; secure" in demo.headers["Set-Cookie"].lower()
