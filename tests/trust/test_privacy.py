"""Row 29: a person who is erased is found nowhere, and does not come back."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.candidates.reindex import run_reindex
from app.intake.files import EVENTS_AT_ONCE, import_files
from app.intake.users import erase_user
from app.settings import Settings
from app.storage.servers import free_port
from app.storage.stores import Stores
from app.storage.user_cache import forget_peers, write_cached_user
from app.storage.user_state import load_user_state
from app.training.cycle import CHECKPOINT, CYCLE
from tests.intake.records import rows
from tests.intake.written import json_lines
from tests.trust.children import ApiChild, ended
from tests.trust.figures import Row
from tests.trust.lives import (
    BAD,
    FIRST_CHECKPOINT,
    OTHER,
    PERSON,
    beside_kept_generations,
    broken_off_training,
    given_a_life,
    goes_on,
    held_entry,
    learnt_from,
    places,
    receipts,
    shown,
)
from tests.trust.world import KEYS

pytestmark = pytest.mark.anyio
FOREIGN = 'zoé/"x"'
SPELLINGS = [  # of programs that escape otherwise than ours
    r'{"user_id": "zoé\/\"x\"", "post_id": "p404"}',
    r'{"user_id": "zo\u00E9\/\u0022x\u0022", "post_id": "p404"}',
    r'{"user_id": "u3", "post_id": "p404", "of": {"zo\u00e9/\"x\"": 1}}',
    r'{"user_id": "\u007Ao\u00e9\/\"x\"", "shown_at',
]
IMPORTED = 4 * EVENTS_AT_ONCE  # so that the erasure falls into the midst of it


@dataclass
class Service:
    """The running API, with a client of each role."""

    api: ApiChild
    client: httpx.AsyncClient
    ops: httpx.AsyncClient
    admin: httpx.AsyncClient


@pytest.fixture
def settings(settings: Settings, small_plan: Path) -> Settings:
    small_plan.write_text(small_plan.read_text().replace("batch_samples = 128", "batch_samples = 8\nchunk_size = 8"))
    more = {"plan": small_plan, "port": free_port(None), "threads": 1, "generations_kept": 2}
    return settings.model_copy(update=more)


@pytest.fixture
async def service(stores: Stores) -> AsyncIterator[Service]:
    """The API with its log as it is by default, over a log in which a person has lived and a training has begun."""
    await given_a_life(stores)
    await run_reindex(stores, requested_by="test")
    await broken_off_training(stores)
    api = ApiChild(stores.settings, KEYS)
    async with AsyncExitStack() as open_clients:
        with ended(api):
            await asyncio.to_thread(api.start)
            clients = {}
            for role, key in KEYS.items():
                headers = {"Authorization": f"Bearer {key}"}
                one = httpx.AsyncClient(base_url=api.address, headers=headers, timeout=60)
                clients[role] = await open_clients.enter_async_context(one)
            yield Service(api, **clients)


async def under_way(stores: Stores, service: Service, folder: Path) -> list[asyncio.Future[Any]]:
    """Batches of the person's, requests for him and for his peer, and an import whose first part is in."""
    events = [shown(PERSON, number) for number in range(60, 200)]
    seen = {"user_id": PERSON, "post_id": "p1"}
    written = [seen | {"shown_at": 1772337600 + number} for number in range(IMPORTED)]
    begun = asyncio.Event()
    file = json_lines(folder / "under-way.jsonl", [*BAD, *written, *BAD])
    tasks: list[Awaitable[Any]] = [import_files(stores, exposures=file, progress=lambda _: begun.set())]
    started = [asyncio.ensure_future(one) for one in tasks]
    await begun.wait()
    await forget_peers(stores.cache, [PERSON, OTHER])
    calls: list[Awaitable[Any]] = [service.client.post("/exposures", json={"exposures": events}) for _ in range(4)]
    calls += [service.client.post("/recommend", json={"user_id": one}) for one in (PERSON, OTHER) * 4]
    calls += [load_user_state(stores, one) for one in (PERSON, OTHER)]
    return [*started, *(asyncio.ensure_future(one) for one in calls)]


async def late_words(stores: Stores, service: Service, folder: Path) -> list[int]:
    """Whatever may still come of an erased person, over HTTP and by a file; the statuses of the answers."""
    client, ops, events = service.client, service.ops, [shown(PERSON, number) for number in range(200)]
    like = {"kind": "like", "user_id": PERSON, "post_id": "p1"}
    answers = [
        await client.post("/exposures", json={"exposures": [*events, *BAD]}),
        await client.post("/behaviours", json={"behaviours": [like, {**like, "post_id": "p404"}, *BAD]}),
        await client.put(f"/users/{PERSON}", json={"attributes": {"age": 24}, "personalised": False}),
        await client.post(f"/users/{PERSON}/merge", json={"anonymous_id": "device"}),
        await client.post(f"/users/{OTHER}/merge", json={"anonymous_id": PERSON}),
        await client.post("/recommend", json={"user_id": PERSON, "record_exposures": True}),
        await client.post("/recommend", json={"user_id": OTHER}),
        await ops.post("/posts", json={"posts": [{"post_id": "late", "title": "t", "author_id": PERSON}, *BAD]}),
        await ops.patch("/posts/own", json={"author_id": PERSON}),
        await service.admin.get(f"/users/{PERSON}/export"),
    ]
    await import_files(stores, exposures=json_lines(folder / "late.jsonl", [*BAD, *events]))
    return [answer.status_code for answer in answers]


@pytest.mark.trust(29)
async def test_an_erased_person_is_found_nowhere_and_does_not_come_back(
    stores: Stores, service: Service, row: Row, tmp_path: Path
) -> None:
    before = await places(stores)
    assert {place.split()[0] for place in before} == {"database", "cache", "file"}
    held = await held_entry(stores)

    in_flight = await under_way(stores, service, tmp_path)
    began = time.monotonic()
    erased = (await service.admin.delete(f"/users/{PERSON}")).json()
    seconds = time.monotonic() - began
    await write_cached_user(stores.cache, held, log=None, peers=held.peers)
    imported, *_ = await asyncio.gather(*in_flight)
    at_once = await places(stores)
    statuses = await late_words(stores, service, tmp_path)
    later = await places(stores)
    searched = {file.name for file in (stores.settings.home / "training").iterdir()}
    again = (await service.admin.delete(f"/users/{PERSON}")).json()
    steps = await goes_on(stores)
    after = await places(stores)

    again["deleted"].pop("cache_entries")  # his late request has made some, which name nobody
    row.done = (
        f"a person in {len(before)} places, an author too, erased over HTTP while an import, 4 batches of theirs "
        "and 10 requests and loads of theirs and of a peer were under way and a training on their log was broken off; "
        "then late events, attributes, posts, requests, an import and the rest of the training"
    )
    row.none(places_left=len(beside_kept_generations(at_once)), after_late_words=len(beside_kept_generations(later)))
    row.none(places_left_once_older_generations_are_pruned=len(after))
    row.none(in_the_next_training=learnt_from(stores).count(PERSON), in_logs=service.api.log.read_text().count(PERSON))
    row.none(rows_found_by_a_second_erasure=sum(again["deleted"].values()))
    row.saw("to erase", seconds, "s")
    assert (beside_kept_generations(at_once), beside_kept_generations(later), after) == ([], [], [])
    assert searched == {CYCLE, CHECKPOINT}
    assert steps[0] == FIRST_CHECKPOINT + 1, "the training that was broken off went on"
    assert 0 < imported.exposures.accepted < IMPORTED
    assert statuses == [200, 200, 410, 410, 200, 200, 200, 200, 200, 404]
    assert [*await receipts(stores), again["receipt_id"]] == [erased["receipt_id"]] * 3
    assert learnt_from(stores) == [OTHER]
    assert len(await rows(stores, "user_id FROM exposures")) == 60


@pytest.mark.trust(29)
async def test_no_spelling_of_an_erased_id_stays_in_a_rejects_file(stores: Stores, row: Row, tmp_path: Path) -> None:
    def left() -> int:
        files = stores.settings.rejects.glob("*.rejects.jsonl")
        return sum(file.read_text().count("\n") for file in files)

    path = tmp_path / "foreign.jsonl"
    path.write_text("\n".join([*SPELLINGS, json.dumps({"user_id": OTHER, "post_id": "p404"})]) + "\n")

    await import_files(stores, exposures=path)
    before = left()
    await erase_user(stores, FOREIGN, actor="test")
    after = left()
    await import_files(stores, exposures=path)

    row.none(rejected_rows_in_other_spellings=after - 1 + left() - 1)
    assert (before, after, left()) == (len(SPELLINGS) + 1, 1, 1)
