"""Words that want to be code, planted wherever a page shows what others wrote, and the pages that show them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from urllib.parse import quote, urlencode

import httpx
from playwright.sync_api import Browser, Page, Response

from app.domain import Role
from tests.trust.attacked import KEYS, Attacked
from tests.trust.children import wait_until
from tests.trust.sessions import FORM, sign_in

SCRIPTS = [
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    '"><svg onload=alert(1)>',
    "{{ 7 * 7 }}{% raw %}",
    "javascript:alert(1)",
    "</title><script>alert(1)</script>",
    "' onmouseover='alert(1)",
]
AS_JSON = [json.dumps(words)[1:-1] for words in SCRIPTS]
POSTS = {f"planted-{number}": words for number, words in enumerate(SCRIPTS)}
READER = "reader <script>alert(1)</script>"
SETTLED_MS = 100  # for what runs once the page, with its pictures, is there
TEXT = "[document.body.textContent, ...[...document.querySelectorAll('input')].map(one => one.value)].join('\\n')"
CODE = "script:not([src]), [onerror], [onload], [onmouseover], [href^='javascript:']"


def plant(attacked: Attacked) -> None:
    """Posts, a reader of them, dead letters, keys and entries of the audit, all of these words."""
    posts = [
        {"post_id": post_id, "title": words, "category": words, "city": words, "tags": [words], "author_id": words}
        for post_id, words in POSTS.items()
    ]
    shown = [
        {"user_id": READER, "post_id": post_id, "shown_at": 1_750_000_000 + number, "scene": words}
        | {"behaviours": [{"kind": "click", "at": 1_750_000_100 + number}]}
        for number, (post_id, words) in enumerate(POSTS.items())
    ]
    # Of ids that were erased no letter is kept, and the words by themselves were.
    lost = [{"user_id": READER, "post_id": f"lost {words}", "shown_at": 1} for words in SCRIPTS]
    with attacked.client(Role.ADMIN) as client:
        client.post("/posts", json={"posts": posts}).raise_for_status()
        attributes = {"attributes": {words: words for words in SCRIPTS}}
        client.put(f"/users/{quoted(READER)}", json=attributes).raise_for_status()
        client.post("/exposures", json={"exposures": shown + lost}).raise_for_status()
    with attacked.client(None) as client:
        sign_in(client, KEYS[Role.ADMIN])
        for post_id, words in POSTS.items():
            send_form(client, "/admin/keys/create", role="client", name=words)
            send_form(client, "/admin/post/pin", id=post_id, pinned="yes")  # it comes first for everybody
        wait_until(lambda: are_encoded(client), "the planted posts were not encoded")


def send_form(client: httpx.Client, path: str, **fields: str) -> None:
    headers = FORM | {"Origin": str(client.base_url).rstrip("/")}
    assert not client.post(path, headers=headers, content=urlencode(fields)).is_error


def are_encoded(client: httpx.Client) -> bool:
    titles = {post["title"] for post in client.get("/admin/map.json").raise_for_status().json()["posts"]}
    return titles.issuperset(SCRIPTS)


def quoted(words: str) -> str:
    return quote(words, safe="")


def pages() -> Iterator[tuple[str, Sequence[str]]]:
    """Each page that shows planted words, and those that it must show."""
    yield f"/admin/user?id={quoted(READER)}", [READER, *SCRIPTS]
    yield f"/admin/user?id={quoted(SCRIPTS[0])}", SCRIPTS  # of whom nothing is known
    yield f"/admin/users?words={quoted(READER)}", [READER, *SCRIPTS[:3]]
    yield "/admin/posts", SCRIPTS
    yield f"/admin/posts?words={quoted(SCRIPTS[0])}&category={quoted(SCRIPTS[0])}", SCRIPTS[:1]
    for post_id, words in POSTS.items():
        yield f"/admin/post?id={post_id}", [words, READER]
        yield f"/admin/why?user={quoted(READER)}&post={post_id}", [words, READER]
    yield "/admin/generations/compare?users=u1", SCRIPTS
    yield "/admin/map", SCRIPTS
    yield "/admin/dead-letters", AS_JSON
    yield "/admin/audit", AS_JSON
    yield "/admin/keys", SCRIPTS
    yield "/demo", SCRIPTS


@dataclass
class Seen:
    """What a browser made of the pages."""

    pages: int = 0
    dialogs: list[str] = field(default_factory=list)
    code: list[str] = field(default_factory=list)  # pages with elements that run something of their own
    without_policy: list[str] = field(default_factory=list)
    not_shown: list[str] = field(default_factory=list)  # page: words that are not there as text

    def look(self, page: Page, answer: Response | None, wanted: Sequence[str]) -> None:
        """Look at the page that is open."""
        assert answer is not None
        assert answer.ok, page.url
        page.wait_for_timeout(SETTLED_MS)
        text = page.evaluate(TEXT)
        self.pages += 1
        self.not_shown += [f"{page.url}: {words}" for words in wanted if words not in text]
        self.code += [page.url] * page.locator(CODE).count()
        if "script-src 'self'" not in answer.headers.get("content-security-policy", ""):
            self.without_policy.append(page.url)


def seen_in(browser: Browser, attacked: Attacked) -> Seen:
    """Every page that shows planted words. The browser does not mind the policy, so that escaping alone is judged."""
    seen, context = Seen(), browser.new_context(bypass_csp=True)
    page = context.new_page()
    page.on("dialog", lambda dialog: (seen.dialogs.append(dialog.message), dialog.dismiss()))
    page.goto(f"{attacked.address}/admin")
    page.fill("input[name=key]", KEYS[Role.ADMIN])
    page.press("input[name=key]", "Enter")
    page.wait_for_load_state()
    for path, wanted in pages():
        seen.look(page, page.goto(attacked.address + path), wanted)
    answer = page.goto(f"{attacked.address}/admin/alike")
    page.fill("#title", SCRIPTS[0])
    page.press("#title", "Enter")
    page.wait_for_selector("#found .tile")
    seen.look(page, answer, [SCRIPTS[0]])
    context.close()
    return seen
