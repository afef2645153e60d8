"""Rows 15 and 17: events twice, shuffled, late and from wrong clocks; tables and samples are as they should be."""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import text

from app.domain import Sample
from app.intake.event_records import CLAMPED, CLOCK_TOLERANCE, BehaviourRecord, ExposureRecord
from app.intake.events import save_behaviours, save_exposures
from app.samples.history import HistoryLimits
from app.samples.stream import training_chunks
from app.storage.log import Watermark
from app.storage.postgres import SyncEngine, sync_engine, transaction
from app.storage.stores import Stores
from tests.intake.records import given_posts, rows
from tests.intake.test_any_order import TABLES
from tests.toy_world import ToyWorld
from tests.trust.figures import Row

pytestmark = pytest.mark.anyio
Event = ExposureRecord | BehaviourRecord
BATCH = 500
DUPLICATES, LATE, DELIVERIES = 0.3, 0.05, 3
SHOWINGS_EACH = 40


@pytest.fixture
def engine(stores: Stores) -> Iterator[SyncEngine]:
    engine = sync_engine(stores.addresses.database_url)
    yield engine
    engine.dispose()


def events_of(world: ToyWorld, chance: random.Random) -> list[Event]:
    """Exposures and behaviours of the toy world in the order of their times; a few behaviours come two days late."""
    events: list[tuple[datetime, Event]] = []
    for showing in (showing for shown in world.log.values() for showing in shown):
        own = {"exposure_id": showing.exposure_id, "user_id": showing.user_id, "post_id": showing.post_id}
        events.append((showing.shown_at, ExposureRecord(**own, shown_at=showing.shown_at, position=showing.position)))
        for act in showing.acts:
            at = act.at + timedelta(days=2) * (chance.random() < LATE)
            behaviour_id = f"{showing.exposure_id}-{act.kind.value}"
            record = BehaviourRecord(**own, kind=act.kind.value, at=at, behaviour_id=behaviour_id)
            events.append((at, record))
    return [event for _, event in sorted(events, key=lambda one: one[0])]


async def send(stores: Stores, events: Sequence[Event], *, deliveries: random.Random | None = None) -> int:
    """In batches, each up to three times; how many items were sent."""
    sent = 0
    for at in range(0, len(events), BATCH):
        batch = events[at : at + BATCH]
        for _ in range(deliveries.randint(1, DELIVERIES) if deliveries else 1):
            await save_exposures(stores, [one for one in batch if isinstance(one, ExposureRecord)])
            await save_behaviours(stores, [one for one in batch if isinstance(one, BehaviourRecord)])
            sent += len(batch)
    return sent


async def emptied(stores: Stores, world: ToyWorld) -> None:
    await given_posts(stores, *(post.post_id for post in world.posts))
    async with transaction(stores.database) as connection:
        await connection.execute(text("TRUNCATE exposures, behaviours, users CASCADE"))


async def tables(stores: Stores) -> dict[str, Any]:
    return {name: await rows(stores, columns) for name, columns in TABLES.items()}


def all_samples(engine: SyncEngine) -> list[Sample]:
    """Of one epoch, in its order."""
    until = Watermark(datetime.now(UTC) + timedelta(days=1))
    chunks = training_chunks(engine, HistoryLimits(), seed=5, until=until, held_out_since=None)
    return [sample for chunk in chunks for sample in chunk.samples]


def digest(samples: Sequence[Sample]) -> str:
    return hashlib.sha256("\n".join(map(repr, samples)).encode()).hexdigest()


@pytest.mark.trust(15)
async def test_order_and_repetition_change_neither_tables_nor_samples(stores, engine, row: Row, at_full):
    wanted = at_full(1_500, 100_000)
    world, chance = ToyWorld(users_count=wanted // 55, showings_each=SHOWINGS_EACH), random.Random(15)
    events = events_of(world, chance)
    await emptied(stores, world)
    await send(stores, events)
    expected, expected_samples = await tables(stores), digest(all_samples(engine))

    await emptied(stores, world)
    arriving = events + chance.sample(events, int(DUPLICATES * len(events)))
    chance.shuffle(arriving)
    began = time.monotonic()
    sent = await send(stores, arriving, deliveries=chance)
    seconds = time.monotonic() - began

    found = await tables(stores)
    differing = sum(len(set(map(repr, expected[name])) ^ set(map(repr, found[name]))) for name in TABLES)
    row.done = (
        f"{len(events)} events, 30 % of them twice, 5 % of the behaviours two days late, shuffled, each batch "
        "delivered one to three times; compared with the same events once and in order"
    )
    row.none(rows_that_differ=differing, samples_that_differ=int(digest(all_samples(engine)) != expected_samples))
    row.saw("taken in", sent / seconds, "events/s")


@pytest.mark.trust(17)
async def test_wrong_clocks_are_clamped_and_no_sample_sees_its_future(stores, engine, row: Row, at_full):
    count, users, chance = at_full(1_000, 50_000), 20, random.Random(17)
    await given_posts(stores, *(f"p{number}" for number in range(50)))
    flagged_wrongly, ahead = 0, 0
    for at in range(0, count, BATCH):
        now = datetime.now(UTC)
        records = [_with_wrong_clock(at + number, users, now, chance) for number in range(min(BATCH, count - at))]
        statuses = await save_exposures(stores, records)
        latest_arrival = datetime.now(UTC)
        for record, status in zip(records, statuses, strict=True):
            moments = [record.shown_at, *(act.at for act in record.behaviours)]
            if max(moments) > latest_arrival + CLOCK_TOLERANCE:
                ahead += 1
                flagged_wrongly += status.reason != CLAMPED
            elif max(moments) <= now + CLOCK_TOLERANCE:  # in between nobody can say
                flagged_wrongly += status.reason == CLAMPED
    latest_of = "(SELECT max(shown_at) FROM exposures), (SELECT max(at) FROM behaviours)"
    [(latest,)] = await rows(stores, f"greatest({latest_of})")
    samples = all_samples(engine)
    leaks = sum(not _is_before(sample) for sample in samples)

    row.done = f"{count} exposures by clocks up to two days ahead and thirty behind, some acts before their showing"
    row.saw("ahead", ahead)
    row.none(flagged_wrongly=flagged_wrongly, leaks=leaks, no_samples=int(not samples))
    row.none(kept_in_the_future=int(latest > datetime.now(UTC) + CLOCK_TOLERANCE))


def _with_wrong_clock(number: int, users: int, now: datetime, chance: random.Random) -> ExposureRecord:
    shift = chance.choice([timedelta(0), timedelta(days=2), timedelta(minutes=30), -timedelta(days=30)])
    shown_at = now - timedelta(minutes=chance.uniform(0, 600)) + shift
    acts = [{"kind": "click", "at": shown_at + timedelta(seconds=chance.uniform(-3600, 3600))}]
    behaviours = acts if chance.random() < 0.4 else []
    return ExposureRecord.model_validate(
        {
            "exposure_id": f"e{number}",
            "user_id": f"u{number % users}",
            "post_id": f"p{chance.randrange(50)}",
            "shown_at": shown_at,
            "behaviours": behaviours,
        }
    )


def _is_before(sample: Sample) -> bool:
    """Whether everything in the history had happened when the sample's post was shown."""
    moments = [item.shown_at for item in sample.history]
    moments += [act.at for item in sample.history for act in item.acts]
    return all(moment < sample.shown_at for moment in moments)
