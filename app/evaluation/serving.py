"""A split and an entry -> stores of its own in which it was trained and serves."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from app.candidates.encode import TOKENS_FILE, start_sizes
from app.candidates.reindex import Artefact
from app.evaluation.asked import Tell
from app.evaluation.controls import write_random_tokens
from app.evaluation.entries import Entry
from app.evaluation.product import Served, served, trained
from app.evaluation.split import Split
from app.evaluation.world import world_of
from app.plan import TrainingPlan
from app.settings import Settings
from app.storage.stores import Stores


@asynccontextmanager
async def serving_entry(
    entry: Entry,
    split: Split,
    settings: Settings,
    plan: TrainingPlan,
    sizes: dict[str, object],
    *,
    seed: int,
    tell: Tell,
) -> AsyncIterator[Served]:
    """Stores with what is visible of the split, the entry trained in them, and serving."""
    wanted = {**sizes, **entry.sizes}
    with TemporaryDirectory(prefix="tuwen-") as folder:
        tokens = None
        if entry.has_random_tokens:
            tokens = Path(folder) / TOKENS_FILE
            write_random_tokens(settings.home / TOKENS_FILE, tokens, start_sizes(**wanted), seed=seed)
        async with world_of(split.visible, settings, tokens=tokens) as stores:
            artefact = await _trained(entry, stores, plan, wanted, seed=seed, tell=tell)
            yield await served(stores, artefact, split)


async def _trained(
    entry: Entry, stores: Stores, plan: TrainingPlan, sizes: dict[str, Any], *, seed: int, tell: Tell
) -> Artefact | None:
    if not entry.is_trained:
        return None
    return await trained(
        stores,
        replace(plan, **entry.plan),
        sizes,
        seed=seed,
        tell=lambda report: tell(f"{entry.name}, seed {seed + 1}: step {report.step} of {report.steps}"),
    )
