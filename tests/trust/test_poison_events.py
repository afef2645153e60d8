"""Row 16: one event of a hundred cannot be used: it is kept with its reason, takes no other along, can be mended."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.intake.events import UNKNOWN_POST
from app.settings import child_environment
from app.storage.dead_letters import NOT_KEPT
from tests.intake.written import json_lines
from tests.trust.children import ROOT
from tests.trust.figures import Row
from tests.trust.world import KEYS, WORLD, Broken

SHARE = 0.01
BATCH = 1000
NO_STRING, CONTROLS = "must be a string; write numbers in quotes", "must not be blank or contain control characters"
NO_TIME = "is not a time: write RFC 3339 with an offset, e.g. 2025-06-01T08:00:00+08:00, or Unix seconds"
NO_KIND = "should be 'click', 'like', 'share', 'favourite' or 'comment'"

# The reason that is to be given, and what is wrong with the event.
POISON: Mapping[str, dict[str, Any]] = {
    f"user_id: {NO_STRING}": {"user_id": 7},
    "position: should be a valid integer": {"position": "first"},
    "behaviours: must be a list": {"behaviours": {}},
    f"behaviours.0.kind: {NO_KIND}": {"behaviours": [{"kind": "stare", "at": 0}]},
    f"shown_at: {NO_TIME}": {"shown_at": "yesterday"},
    f"user_id: {CONTROLS}": {"user_id": "half\0a name"},
    "scene: String should have at most 200 characters": {"scene": "x" * 300_000},
    UNKNOWN_POST: {},
}
DEPTHS = (10, *range(240, 260), *range(300, 1000, 50))  # at some of these an item can be read and not be written


def events(name: str, count: int) -> tuple[list[dict[str, Any]], Counter[str]]:
    """Showings of which one in a hundred is poisoned, each way equally often, and how often each reason is due."""
    made = [
        {"exposure_id": f"{name}-{number}", "user_id": f"u{number % 50}", "post_id": WORLD.posts[number % 50].post_id}
        | {"shown_at": "2026-01-01T00:00:00Z"}
        for number in range(count)
    ]
    reasons: Counter[str] = Counter()
    for place, number in enumerate(random.Random(16).sample(range(count), int(SHARE * count))):
        reason = list(POISON)[place % len(POISON)]
        made[number] |= {"post_id": f"post-of-{name}"} if reason == UNKNOWN_POST else POISON[reason]
        reasons[reason] += 1
    return made, reasons


def send_missing_post(ops: httpx.Client, name: str) -> None:
    answer = ops.post("/posts", json={"posts": [{"post_id": f"post-of-{name}", "title": "late"}]})
    assert answer.json()["accepted"] == 1


@pytest.mark.trust(16)
def test_poison_over_http_becomes_dead_letters_that_can_be_replayed(world: Broken, row: Row, at_full):
    sent, due = events("poison-http", at_full(2_400, 40_000))
    ops = httpx.Client(base_url=world.api.address, headers={"Authorization": f"Bearer {KEYS['ops']}"}, timeout=60)
    statuses: Counter[str] = Counter()
    for at in range(0, len(sent), BATCH):
        answer = ops.post("/exposures", json={"exposures": sent[at : at + BATCH]}).raise_for_status()
        statuses.update(item["status"] for item in answer.json()["items"])
    letters = ops.get("/dead-letters", params={"limit": 500}).json()["letters"]
    found = Counter(letter["reason"] for letter in letters)
    stored = len(world.event_ids("poison-http-"))
    send_missing_post(ops, "poison-http")
    letter_ids = [letter["letter_id"] for letter in letters]
    replayed = ops.post("/dead-letters/replay", json={"letter_ids": letter_ids}).json()
    left = ops.get("/dead-letters", params={"limit": 500}).json()["letters"]
    ops.delete("/posts/post-of-poison-http")
    for letter in left:
        ops.delete(f"/dead-letters/{letter['letter_id']}")
    ops.close()

    poisoned = sum(due.values())
    row.done = f"{len(sent)} events over HTTP, {poisoned} of them poisoned in {len(due)} ways"
    row.saw("dead letters", len(letters))
    row.none(with_no_letter_or_another_reason=sum(((due - found) + (found - due)).values()))
    row.none(good_ones_not_taken=len(sent) - poisoned - stored, acknowledged_wrongly=statuses["accepted"] - stored)
    row.saw("taken at the replay, once their post was there", replayed["accepted"])
    row.none(not_taken_at_the_replay=due[UNKNOWN_POST] - replayed["accepted"])
    row.none(letters_lost_at_the_replay=poisoned - due[UNKNOWN_POST] - len(left))
    assert len(letters) == poisoned


@pytest.mark.trust(16)
def test_poison_of_any_depth_has_a_letter_that_can_be_read(world: Broken, row: Row):
    kept = []
    headers = {"Authorization": f"Bearer {KEYS['ops']}", "Content-Type": "application/json"}
    with httpx.Client(base_url=world.api.address, headers=headers, timeout=60) as ops:
        for depth in DEPTHS:
            item = f'{{"user_id": 7, "exposure_id": "deep-{depth}", "more": {"[" * depth}{"]" * depth}}}'
            content = f'{{"exposures": [{item}]}}'
            answer = ops.post("/exposures", content=content)
            if answer.is_success:
                kept.append(answer.json()["items"][0]["reason"])
        letters = ops.get("/dead-letters", params={"limit": 500}).raise_for_status().json()["letters"]
        for letter in letters:
            ops.delete(f"/dead-letters/{letter['letter_id']}")

    given = [letter["reason"] for letter in letters]
    row.done = f"{len(kept)} events nested up to {DEPTHS[len(kept) - 1]} deep"
    row.none(deep_ones_without_a_letter=len(kept) - len(given))
    of_others = sum(not reason.startswith(due) for reason, due in zip(reversed(given), kept, strict=False))
    row.none(deep_ones_with_another_reason=of_others)
    row.saw("of them kept with their content", sum(letter["item"] is not None for letter in letters))
    assert given[-1] == kept[0]
    assert given[0] == kept[-1] + NOT_KEPT


@pytest.mark.trust(16)
def test_poison_in_a_file_is_told_by_line_and_can_be_mended(world: Broken, row: Row, at_full, tmp_path: Path):
    name = "poison-file"
    written, due = events(name, at_full(2_400, 100_000))
    ended = tuwen_import(world, json_lines(tmp_path / f"{name}.jsonl", written))
    rejects = world.api.settings.rejects / f"{name}.jsonl.rejects.jsonl"
    lines = [json.loads(line) for line in rejects.read_text().splitlines()]
    found = Counter(line["reason"] for line in lines)
    told_of_others = sum(written[line["line"] - 1]["exposure_id"] not in line["raw"] for line in lines)
    stored = len(world.event_ids(f"{name}-"))
    headers = {"Authorization": f"Bearer {KEYS['ops']}"}
    with httpx.Client(base_url=world.api.address, headers=headers, timeout=60) as ops:
        send_missing_post(ops, name)
        mended = [json.loads(line["raw"]) for line in lines if line["reason"] == UNKNOWN_POST]
        again = tuwen_import(world, json_lines(tmp_path / f"{name}-mended.jsonl", mended))
        ops.delete(f"/posts/post-of-{name}")

    poisoned = sum(due.values())
    row.done = f"{len(written)} lines of a file by `tuwen import`, {poisoned} of them poisoned in {len(due)} ways"
    row.saw("lines in the rejects file", len(lines))
    row.none(with_no_reject_or_another_reason=sum(((due - found) + (found - due)).values()))
    row.none(rejects_with_the_number_of_another_line=told_of_others)
    row.none(good_lines_not_taken=len(written) - poisoned - stored)
    assert f"exposures: {len(written) - poisoned} new, 0 known, {poisoned} rejected" in ended
    assert f"exposures: {len(mended)} new, 0 known, 0 rejected" in again
    assert len(mended) == due[UNKNOWN_POST]


def tuwen_import(world: Broken, file: Path) -> str:
    """What the command says."""
    ended = subprocess.run(
        [sys.executable, "-m", "app.cli", "import", "--exposures", file],
        cwd=ROOT,
        env=child_environment(world.api.settings),
        capture_output=True,
        text=True,
    )
    assert ended.returncode in (0, 1), ended.stderr
    return ended.stdout
