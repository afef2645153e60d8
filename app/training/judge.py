"""A trained network and its held-out samples -> the gate's verdict against whatever serves at this moment."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

import numpy as np

from app.candidates.generation import GenerationFolder
from app.domain import Sample
from app.plan import Gate
from app.samples.tokens import TokenTable
from app.storage.catalogue import posts_shown_before
from app.storage.stores import Stores
from app.training.gate import Verdict, compare
from app.training.outcome import HeldOut, outcome
from models.cascade import Cascade
from models.sizes import NetworkSizes

Opponent = tuple[str | None, Cascade, datetime | None]  # generation, network, learnt from what was shown before


async def judge(
    stores: Stores,
    candidate: Cascade,
    samples: Sequence[Sample],
    *,
    start: Cascade,
    rows: Mapping[str, int],
    table_of: Callable[[NetworkSizes], TokenTable],
    gate: Gate,
) -> Verdict | None:
    """Compare on the samples that neither has learnt from; None when the gate is off or there are none.

    Where nothing serves, or nothing that is there is whole, the opponent is the pretrained `start`.
    """
    against, serving, learnt_before = _opponent(GenerationFolder(stores.settings.generations), start)
    samples = [
        sample
        for sample in samples
        if sample.post_id in rows and (learnt_before is None or sample.shown_at >= learnt_before)
    ]
    if not gate.enabled or not samples:
        return None
    warm = await posts_shown_before(stores.database, min(sample.shown_at for sample in samples))
    held_out = HeldOut(samples, rows, np.asarray([post_id not in warm for post_id in rows], bool))
    return await asyncio.to_thread(
        _compared, candidate, serving, held_out, table_of=table_of, gate=gate, against=against
    )


def _compared(
    candidate: Cascade,
    serving: Cascade,
    held_out: HeldOut,
    *,
    table_of: Callable[[NetworkSizes], TokenTable],
    gate: Gate,
    against: str | None,
) -> Verdict:
    learnt, served = (outcome(one, table_of(one.sizes), held_out) for one in (candidate, serving))
    return compare(learnt, served, held_out, gate=gate, against=against)


def _opponent(folder: GenerationFolder, start: Cascade) -> Opponent:
    """The serving generation's network, and from when on it knows nothing of the log."""
    served = folder.load_best()
    if served is None:
        return None, start, None
    generation = served.manifest.generation
    held_out_since = folder.report(generation).get("log", {}).get("held_out_since")
    return generation, served.network, datetime.fromisoformat(held_out_since) if held_out_since else None
