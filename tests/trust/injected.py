"""Words that want to be SQL, in every field; and the rows of every table that they may want to change or to read."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

import httpx
import psycopg

from app.domain import Role
from app.storage.keys import sha256_of
from tests.trust.attacked import KEYS, Attacked

INJECTIONS = [
    "'; DROP TABLE posts; --",
    "' OR '1'='1",
    "1); DELETE FROM users; --",
    "$$; DROP TABLE audit; $$",
    ":user_id",
    "%(user_id)s",
    "{0}",
    "\\",
    "p1' UNION SELECT secret_sha256 FROM api_keys --",
    "*/ DROP TABLE jobs /*",
]
PERSON, PEER = "Zq9-of-old", "Zq9-peer-of-old"
SECRETS = [PERSON, PEER, *map(sha256_of, KEYS.values())]  # that no answer to such words may hold
# The calls themselves add rows to these, in the name of the words. They change and delete none that were there before.
GROWING = {"posts", "users", "user_traits", "exposures", "dead_letters", "audit", "erased_users"}

Tables = Mapping[str, Counter[str]]  # name -> its rows, each with all its columns, as JSON


def with_words(words: str) -> list[tuple[str, str, dict[str, Any]]]:
    """Calls that carry the words in each of their fields."""
    shown = {"user_id": words, "post_id": words, "exposure_id": words, "scene": words, "shown_at": words}
    post = {
        "post_id": f"x-{words}",
        "title": words,
        "category": words,
        "city": words,
        "tags": [words],
        "author_id": words,
    }
    wanted = {"user_id": words, "scene": words, "filter": {"category": [words], "city": [words], "tags": [words]}}
    quoted = httpx.URL("http://t").copy_with(path=f"/{words}").raw_path.decode()[1:].replace("/", "%2F")
    return [
        ("POST", "/posts", {"json": {"posts": [{**post, "tags": [words], "attributes": {words: words}}]}}),
        ("POST", "/exposures", {"json": {"exposures": [shown, {**shown, "shown_at": 1, "post_id": "p1"}]}}),
        ("POST", "/behaviours", {"json": {"behaviours": [{"kind": words, "exposure_id": words}]}}),
        ("POST", "/recommend", {"json": {**wanted, "exclude_post_ids": [words], "cursor": words}}),
        ("PUT", f"/users/{quoted}", {"json": {"attributes": {words: words}}}),
        ("GET", f"/posts/{quoted}", {}),
        ("GET", "/dead-letters", {"params": {"kind": words}}),
        ("GET", f"/users/{quoted}/export", {}),
        ("DELETE", f"/users/{quoted}", {}),
    ]


def given_rows_of_every_kind(attacked: Attacked) -> None:
    """What is not there yet: people with a log and peers, a letter, a scene, an experiment, an erased one."""
    shown = {"user_id": PERSON, "post_id": "p1", "shown_at": 1_750_000_000}
    acted = shown | {"behaviours": [{"kind": "like", "at": 1_750_000_100}]}
    rejected = {"kind": "not_interested", "user_id": PERSON, "post_id": "p2"}
    arm = {"name": "old", "share": 0.5, "parameters": {"diversity": 0.3}}
    with attacked.client(Role.ADMIN) as client:
        for method, path, body in (
            ("PUT", f"/users/{PERSON}", {"attributes": {"age": 24}}),
            ("POST", "/exposures", {"exposures": [acted, shown | {"post_id": "no-such-post"}]}),
            ("POST", "/behaviours", {"behaviours": [rejected]}),
            ("PUT", "/scenes/of-old", {"diversity": 0.3}),
            ("PUT", "/experiments/of-old", {"scene": "of-old", "arms": [arm]}),
        ):
            client.request(method, path, json=body).raise_for_status()
        client.delete("/users/Zq9-erased").raise_for_status()
    with psycopg.connect(attacked.database_url) as connection:
        peer = "INSERT INTO peers (user_id, kind, peer_id, overlap) VALUES (%s, 'similar_user', %s, 1)"
        connection.execute(peer, [PERSON, PEER])


def all_rows(attacked: Attacked) -> Tables:
    """Every row of every table."""
    named = """
        SELECT table_name FROM information_schema.tables
        WHERE table_schema = current_schema AND table_type = 'BASE TABLE'"""
    return {
        str(table): Counter(str(row) for (row,) in attacked.rows(f'SELECT to_jsonb(t)::text FROM "{table}" AS t'))
        for (table,) in attacked.rows(named)
    }


def changed_rows(before: Tables, after: Tables) -> list[str]:
    """Old rows that are gone or read otherwise, new ones where nothing adds any, and tables that came or went."""
    none: Counter[str] = Counter()
    gone = [f"gone from {table}: {row}" for table in before for row in before[table] - after.get(table, none)]
    come = [
        f"come to {table}: {row}" for table in after.keys() - GROWING for row in after[table] - before.get(table, none)
    ]
    return gone + come + sorted(before.keys() ^ after.keys())
