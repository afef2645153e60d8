"""The stream of samples that a trainer reads, on a real PostgreSQL."""

import os
from collections import Counter
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime, timedelta

import psutil
import pytest
from sqlalchemy import Engine, text

from app.domain import BehaviourKind, Sample
from app.samples.history import HistoryLimits, history_before
from app.samples.stream import SampleChunk, Selection, evaluation_chunks, stream_chunks, training_chunks
from app.storage.log import Watermark, current_watermark, is_replayed, shown_posts
from app.storage.postgres import sync_engine, sync_transaction

START = datetime(2026, 3, 1, tzinfo=UTC)
LIMITS = HistoryLimits()
EVERYTHING = Watermark(datetime.now(UTC) + timedelta(days=1))


@pytest.fixture
def engine(database_url: str) -> Iterator[Engine]:
    engine = sync_engine(database_url)
    yield engine
    engine.dispose()


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def run(engine: Engine, statement: str, **values: object) -> None:
    with sync_transaction(engine) as connection:
        connection.execute(text(statement), values)


def expose_many(engine: Engine, exposures: int, *, users: int, start: float = 0, arrived: datetime = START) -> None:
    """One exposure a minute, users taking turns; their numbers go on from `start`."""
    run(
        engine,
        """INSERT INTO exposures (exposure_id, user_id, post_id, shown_at, arrived_at)
           SELECT 'e' || n, 'u' || n % :users, 'p' || n % 97, :zero + n * interval '1 minute', :arrived
           FROM generate_series(cast(:start AS integer), :end) AS n""",
        **{"users": users, "zero": START, "start": start, "end": start + exposures - 1, "arrived": arrived},
    )


def act(engine: Engine, exposure: int, kind: str, *, minutes: float, users: int, arrived: datetime = START) -> None:
    """An act on the exposure of this number, so many minutes after the start."""
    run(
        engine,
        "INSERT INTO behaviours VALUES (:behaviour, :user, :post, :kind, :at, :exposure, :arrived)",
        **{"behaviour": f"b{exposure}{kind}", "user": f"u{exposure % users}", "post": f"p{exposure % 97}"},
        **{"kind": kind, "at": at(minutes), "exposure": f"e{exposure}", "arrived": arrived},
    )


def samples_of(chunks: Iterable[SampleChunk]) -> dict[str, Sample]:
    samples = [sample for chunk in chunks for sample in chunk.samples]
    assert len({sample.exposure_id for sample in samples}) == len(samples)
    return {sample.exposure_id: sample for sample in samples}


def numbers(samples: dict[str, Sample]) -> list[int]:
    return sorted(int(exposure_id[1:]) for exposure_id in samples)


def test_an_epoch_holds_every_showing_before_the_held_out_slice_once(engine):
    expose_many(engine, 200, users=3)
    act(engine, 7, "like", minutes=30, users=3)

    samples = samples_of(training_chunks(engine, LIMITS, seed=1, until=EVERYTHING, held_out_since=at(180)))

    assert numbers(samples) == list(range(180))
    assert samples["e7"].label == {BehaviourKind.LIKE}


def test_without_a_held_out_slice_an_epoch_holds_everything(engine):
    expose_many(engine, 50, users=3)

    assert len(samples_of(training_chunks(engine, LIMITS, seed=1, until=EVERYTHING, held_out_since=None))) == 50


def test_the_held_out_slice_is_evaluated_with_histories_from_before_it(engine):
    expose_many(engine, 200, users=2)

    samples = samples_of(evaluation_chunks(engine, LIMITS, until=EVERYTHING, held_out_since=at(180)))

    (_, shown), *_ = shown_posts(engine, ["u0"], until=EVERYTHING)
    assert numbers(samples) == list(range(180, 200))
    assert samples["e190"].history == history_before(shown, at(190), LIMITS)


def test_a_chunk_holds_consecutive_samples_of_one_user(engine):
    expose_many(engine, 100, users=2)

    chunks = list(training_chunks(engine, LIMITS, seed=1, until=EVERYTHING, held_out_since=None, chunk_size=16))

    assert Counter((chunk.user_id, len(chunk.samples)) for chunk in chunks) == {
        (user, size): count for user in ("u0", "u1") for size, count in ((16, 3), (2, 1))
    }
    for chunk in chunks:
        moments = [sample.shown_at for sample in chunk.samples]
        assert {sample.user_id for sample in chunk.samples} == {chunk.user_id}
        assert moments == [moments[0] + timedelta(minutes=2 * place) for place in range(len(moments))]


def test_the_seed_gives_the_order_and_each_epoch_can_have_another(engine):
    expose_many(engine, 2_000, users=50)
    epochs = [
        list(training_chunks(engine, LIMITS, seed=seed, until=EVERYTHING, held_out_since=None)) for seed in (1, 1, 2)
    ]

    assert epochs[0] == epochs[1]
    assert epochs[0] != epochs[2]
    assert samples_of(epochs[0]) == samples_of(epochs[2])


def test_the_chunks_of_different_users_are_mixed(engine):
    expose_many(engine, 3_200, users=10)

    chunks = list(stream_chunks(engine, LIMITS, seed=1, selection=Selection(until=EVERYTHING), buffer_chunks=64))

    first_users = {chunk.user_id for chunk in chunks[:20]}
    assert len(chunks) == 200
    assert len(first_users) >= 3


def test_events_after_the_watermark_change_nothing(engine):
    expose_many(engine, 100, users=5)
    before = list(training_chunks(engine, LIMITS, seed=1, until=Watermark(at(1)), held_out_since=None))

    expose_many(engine, 100, users=20, start=100, arrived=at(1))
    act(engine, 3, "click", minutes=5, users=5, arrived=at(2))

    assert list(training_chunks(engine, LIMITS, seed=1, until=Watermark(at(1)), held_out_since=None)) == before


def test_t11_continued_training_takes_what_is_new_since_the_last_one(engine):
    expose_many(engine, 100, users=5)
    expose_many(engine, 20, users=5, start=100, arrived=at(1000))
    act(engine, 3, "click", minutes=500, users=5, arrived=at(1000))

    samples = samples_of(
        training_chunks(
            engine,
            LIMITS,
            seed=1,
            until=Watermark(at(2000)),
            held_out_since=at(110),
            arrived_since=at(1000),
            shown_since=at(90),
        )
    )

    assert numbers(samples) == [3, *range(90, 110)]
    assert samples["e3"].label == {BehaviourKind.CLICK}
    assert len(samples["e109"].history) == 20  # the history reaches back over what is not new


def test_t11_older_samples_of_a_share_of_the_users_are_replayed(engine):
    expose_many(engine, 1_000, users=200)
    expose_many(engine, 10, users=200, start=1_000, arrived=at(5_000))

    def continued(until: datetime) -> dict[str, Sample]:
        return samples_of(
            training_chunks(
                engine,
                LIMITS,
                seed=4,
                until=Watermark(until),
                held_out_since=None,
                arrived_since=at(5_000),
                replay_share=0.25,
            )
        )

    older = [number for number in range(1_000) if is_replayed(f"u{number % 200}", seed=4, share=0.25)]
    assert 150 < len(older) < 350
    assert numbers(continued(at(5_000))) == older
    assert numbers(continued(at(6_000))) == [*older, *range(1_000, 1_010)]


def test_an_empty_log_gives_an_empty_stream(engine):
    assert list(training_chunks(engine, LIMITS, seed=1, until=EVERYTHING, held_out_since=None)) == []
    assert list(evaluation_chunks(engine, LIMITS, until=EVERYTHING, held_out_since=START)) == []


def test_a_stream_left_early_lets_go_of_its_connections(engine):
    expose_many(engine, 3_000, users=30)
    stream = stream_chunks(engine, LIMITS, seed=1, selection=Selection(until=EVERYTHING), buffer_chunks=4)
    next(stream)

    stream.close()

    assert engine.pool.status().count("Current Checked out connections: 0") == 1
    assert current_watermark(engine).arrived_until > datetime.now(UTC) - timedelta(seconds=5)


def test_memory_does_not_grow_with_the_log(engine):
    expose_many(engine, 200_000, users=1_000)
    run(
        engine,
        """INSERT INTO behaviours SELECT 'b' || exposure_id, user_id, post_id, 'click', shown_at + interval '1 day',
                  exposure_id, arrived_at FROM exposures WHERE hashtext(exposure_id) % 5 = 0""",
    )
    process = psutil.Process(os.getpid())
    before = process.memory_info().rss

    samples, resident = 0, [before]
    for chunk in training_chunks(engine, LIMITS, seed=1, until=EVERYTHING, held_out_since=None):
        samples += len(chunk.samples)
        if samples % 2_000 < len(chunk.samples):
            resident.append(process.memory_info().rss)

    assert samples == 200_000
    assert max(resident) - before < 48 << 20
    assert max(resident) - max(resident[: len(resident) // 4]) < 8 << 20
