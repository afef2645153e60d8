"""Row 30: backup and restore, and what the service is made of."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr

from app.candidates.reindex import run_reindex
from app.candidates.serving import ServingCandidates
from app.domain import Role
from app.errors import BadArtefact, BadInput
from app.recommend.recommend import recommend
from app.recommend.request import RecommendRequest
from app.settings import Settings
from app.storage.backup import back_up, restore
from app.storage.keys import create_key, find_key, sha256_of
from app.storage.stores import Stores, open_stores
from scripts.audit import audit
from scripts.sbom import document
from tests.candidates.worlds import fill
from tests.toy_world import ToyWorld
from tests.trust.attacked import ROOT
from tests.trust.figures import Row

NOW = datetime(2024, 6, 1, tzinfo=UTC)
INSTALLERS = {"pip", "setuptools", "wheel", "uv"}  # they come with the environment


@pytest.fixture
def settings(settings: Settings, small_plan: Path) -> Settings:
    return settings.model_copy(update={"plan": small_plan})


async def answers(stores: Stores, users: int) -> list[tuple[str, tuple[tuple[str, float], ...]]]:
    """The first ten posts of each user, with their scores, and the generation."""
    serving = ServingCandidates(stores)
    await serving.refresh()
    found = []
    for number in range(users):
        answer = await recommend(stores, serving.view(), RecommendRequest(f"u{number}", k=10), moment=NOW)
        found.append((answer.generation, tuple((post.post_id, post.score) for post in answer.posts)))
    return found


@pytest.mark.trust(30)
@pytest.mark.anyio
async def test_what_is_restored_answers_as_before(
    stores: Stores, settings: Settings, empty_database_url: str, tmp_path: Path, row: Row
) -> None:
    await fill(stores, ToyWorld(users_count=20, showings_each=15))
    await run_reindex(stores, requested_by="test")
    key = await create_key(stores.database, role=Role.OPS, name="kept")
    before = await answers(stores, 20)
    elsewhere = settings.model_copy(
        update={"home": tmp_path / "restored", "database_url": SecretStr(empty_database_url)}
    )

    began = time.monotonic()
    made = await asyncio.to_thread(back_up, settings, tmp_path / "backup")
    backed_up = time.monotonic()
    await asyncio.to_thread(restore, elsewhere, tmp_path / "backup")
    restored = time.monotonic()
    async with stores.cache.use() as redis:
        await redis.flushdb()
    async with open_stores(elsewhere) as other:
        after = await answers(other, 20)
        kept = await find_key(other.database, sha256_of(key.secret))
        same_hashes = other.erased.hash_of("u1") == stores.erased.hash_of("u1")

    row.done = f"{made.pictures} pictures, {len(made.generations)} generation and 300 showings backed up and restored"
    row.none(answers_that_differ=sum(one != other for one, other in zip(before, after, strict=True)))
    row.saw("backup", backed_up - began, "s")
    row.saw("restore", restored - backed_up, "s")
    assert kept == key.key
    assert same_hashes
    with pytest.raises(BadInput, match="holds data already"):
        await asyncio.to_thread(restore, elsewhere, tmp_path / "backup")
    dump = tmp_path / "backup" / "database.dump"
    dump.write_bytes(dump.read_bytes()[:-1] + b"?")
    with pytest.raises(BadArtefact, match="damaged"):
        await asyncio.to_thread(restore, elsewhere, tmp_path / "backup")


@pytest.mark.trust(30)
def test_every_package_is_pinned_by_its_hash_and_no_secret_lies_in_the_tree(row: Row) -> None:
    unhashed = []
    packages = 0
    for lock in sorted((ROOT / "requirements").glob("*.txt")):
        for block in re.split(r"\n(?=\S)", lock.read_text().strip()):
            packages += 1
            if "--hash=sha256:" not in block:
                unhashed.append(f"{lock.name}: {block[:50]}")
    private = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----|AKIA[0-9A-Z]{16}|ghp_[A-Za-z0-9]{36}")
    files = [
        file
        for folder in ("app", "models", "demo", "scripts", "migrations", "tests", "docs", "requirements")
        for file in (ROOT / folder).rglob("*")
        if file.is_file() and file.suffix in {".py", ".md", ".toml", ".html", ".js", ".in", ".txt", ".ini", ".sh"}
    ]
    secrets = [file.name for file in files if private.search(file.read_text(errors="replace"))]

    loose = [one["name"] for one in document()["components"] if not one["hashes"] and one["name"] not in INSTALLERS]
    row.none(packages_without_a_hash=len(unhashed), private_keys_in_the_tree=len(secrets), in_no_lock=len(loose))
    row.saw("packages pinned by hash", packages)


@pytest.mark.trust(30)
def test_what_is_pinned_is_not_known_to_be_vulnerable(row: Row, at_full: Callable[[bool, bool], bool]) -> None:
    if not at_full(False, True):
        pytest.skip("asks a service on the network: `make audit`, `make trust`")

    found = audit()

    row.done = f"{found.packages} pinned packages asked about"
    row.at_least(1, f"audited of {found.packages} packages", found.audited)
    row.none(vulnerable=len(found.vulnerable))
