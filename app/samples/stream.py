"""The event log -> a shuffled stream of chunks of samples, for one pass of training or for an evaluation.

The same log, limits and seed give the same stream, so a trainer that was stopped can skip what it has learnt from.
"""

from __future__ import annotations

import random
from bisect import bisect_left
from collections.abc import Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from datetime import datetime
from itertools import chain, compress, islice
from operator import attrgetter

from app.domain import Sample, ShownPost
from app.samples.history import HistoryLimits, samples_of_user
from app.storage.log import Watermark, is_replayed, shown_posts, stream_user_ids
from app.storage.postgres import SyncEngine

CHUNK_SIZE = 16  # samples
BUFFER_CHUNKS = 512
SHOWN_AT = attrgetter("shown_at")


@dataclass(frozen=True, slots=True)
class SampleChunk:
    """Samples of one user in the order of showing: their histories repeat posts, which a batch then encodes once."""

    user_id: str
    samples: tuple[Sample, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """Which showings become samples; all moments UTC, aware. Histories always reach back over everything."""

    until: Watermark
    shown_from: datetime | None = None  # inclusive
    shown_until: datetime | None = None  # exclusive
    arrived_since: datetime | None = None  # learnt from already: what arrived before this moment,
    shown_since: datetime | None = None  # except showings from this moment on, which were held out then
    replay_share: float = 0.0  # of the users: what was learnt from already comes again


def training_chunks(
    engine: SyncEngine,
    limits: HistoryLimits,
    *,
    seed: int,
    until: Watermark,
    held_out_since: datetime | None,
    arrived_since: datetime | None = None,
    shown_since: datetime | None = None,
    replay_share: float = 0.0,
    chunk_size: int = CHUNK_SIZE,
) -> Iterator[SampleChunk]:
    """One epoch over the showings before `held_out_since`; give each epoch its own seed.

    With `arrived_since`, an earlier training's watermark, it holds what is new: showings that arrived since, got a
    behaviour since, or were held out then (`shown_since`). A share of the users is replayed, others with each seed.
    """
    selection = Selection(
        until=until,
        shown_until=held_out_since,
        arrived_since=arrived_since,
        shown_since=shown_since,
        replay_share=replay_share,
    )
    return stream_chunks(engine, limits, seed=seed, selection=selection, chunk_size=chunk_size)


def evaluation_chunks(
    engine: SyncEngine,
    limits: HistoryLimits,
    *,
    until: Watermark,
    held_out_since: datetime,
    seed: int = 0,
    chunk_size: int = CHUNK_SIZE,
) -> Iterator[SampleChunk]:
    """The held-out showings, users mixed: a consumer that needs only some takes the first ones."""
    selection = Selection(until=until, shown_from=held_out_since)
    return stream_chunks(engine, limits, seed=seed, selection=selection, chunk_size=chunk_size)


def stream_chunks(
    engine: SyncEngine,
    limits: HistoryLimits,
    *,
    seed: int,
    selection: Selection,
    chunk_size: int = CHUNK_SIZE,
    buffer_chunks: int = BUFFER_CHUNKS,
) -> Iterator[SampleChunk]:
    """The selected samples in chunks, users in the seed's order, then mixed by a bounded shuffle buffer."""
    pages = stream_user_ids(
        engine,
        seed=seed,
        until=selection.until,
        arrived_since=selection.arrived_since,
        shown_since=selection.shown_from or (selection.arrived_since and selection.shown_since),
        replay_share=selection.replay_share,
    )
    with closing(pages), closing(shown_posts(engine, chain.from_iterable(pages), until=selection.until)) as users:
        chunks = _chunks(users, limits, selection=selection, seed=seed, chunk_size=chunk_size)
        yield from _shuffled(chunks, random.Random(seed), size=buffer_chunks)  # noqa: S311 - not for secrets


def _chunks(
    users: Iterable[tuple[str, list[ShownPost]]],
    limits: HistoryLimits,
    *,
    selection: Selection,
    seed: int,
    chunk_size: int,
) -> Iterator[SampleChunk]:
    for user_id, shown in users:
        replays = is_replayed(user_id, seed=seed, share=selection.replay_share)
        samples = _selected(shown, limits, selection=selection, replays=replays)
        while chunk := tuple(islice(samples, chunk_size)):
            yield SampleChunk(user_id, chunk)


def _selected(
    shown: list[ShownPost], limits: HistoryLimits, *, selection: Selection, replays: bool
) -> Iterator[Sample]:
    """One user's samples that the selection asks for, oldest first."""
    first = 0 if selection.shown_from is None else bisect_left(shown, selection.shown_from, key=SHOWN_AT)
    end = len(shown) if selection.shown_until is None else bisect_left(shown, selection.shown_until, key=SHOWN_AT)
    is_wanted = [replays or _is_new(showing, selection) for showing in shown[first:end]]
    if not any(is_wanted):
        return iter(())
    return compress(islice(samples_of_user(shown[:end], limits), first, None), is_wanted)


def _is_new(showing: ShownPost, selection: Selection) -> bool:
    """Whether nothing was learnt from the showing yet, or not from all of its acts."""
    if selection.arrived_since is None or showing.arrived_at is None:
        return True
    if selection.shown_since is not None and showing.shown_at >= selection.shown_since:
        return True
    return showing.arrived_at >= selection.arrived_since


def _shuffled(chunks: Iterable[SampleChunk], rng: random.Random, *, size: int) -> Iterator[SampleChunk]:
    """Every chunk once, drawn from a buffer of the given size that the following ones refill."""
    buffer: list[SampleChunk] = []
    for chunk in chunks:
        if len(buffer) < size:
            buffer.append(chunk)
            continue
        place = rng.randrange(size)
        drawn, buffer[place] = buffer[place], chunk
        yield drawn
    rng.shuffle(buffer)
    yield from buffer
