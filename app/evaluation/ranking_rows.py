"""The rows of the warm and of the cold protocol: rivals and the product on the same cut, seed by seed."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from app.candidates.encode import start_sizes
from app.evaluation.asked import COLD, WARM, Asked, Tell
from app.evaluation.content import frozen_features
from app.evaluation.entries import ENTRIES, Entry
from app.evaluation.log import Log
from app.evaluation.measure import Measured, Ranking, by_scores, measured
from app.evaluation.rivals.field import Rival, rivals
from app.evaluation.serving import serving_entry
from app.evaluation.split import Split, cold_split, warm_split
from app.plan import TrainingPlan
from app.samples.tokens import Content
from app.settings import Settings


@dataclass
class Row:
    """What one row of the table reached, seed by seed; on the cold protocol in three ways of asking."""

    runs: dict[str, list[Measured]] = field(default_factory=dict)  # "warm", "cold" (only), "full", "cold in full"
    settings: Mapping[str, Any] = field(default_factory=dict)
    missing: str | None = None  # the package that is not installed
    seconds: float = 0.0

    def add(self, ranking: Ranking, split: Split, *, with_cold_only: bool) -> None:
        """Measure one run."""
        if not len(split.cold):
            self._add("warm", measured(ranking, split, split.targets))
            return
        if with_cold_only:
            self._add("cold", measured(ranking, split, split.cold_targets, among=split.cold))
        self._add("full", measured(ranking, split, split.targets))
        self._add("cold in full", measured(ranking, split, split.cold_targets))

    def _add(self, name: str, found: Measured) -> None:
        self.runs.setdefault(name, []).append(found)


Rows = dict[str, Row]


async def rank_protocol(
    name: str, log: Log, settings: Settings, plan: TrainingPlan, sizes: dict[str, object], *, asked: Asked, tell: Tell
) -> Rows:
    """All rows of the warm or of the cold protocol."""
    network_sizes = start_sizes(**sizes)
    tell(f"{name}: reading pictures and titles")
    features = frozen_features([Content.of(post) for post in log.posts], network_sizes, home=settings.home)
    rows: Rows = {}
    for seed in range(asked.seeds):
        split = warm_split(log) if name == WARM else cold_split(log, seed=seed)
        for rival in rivals(features):
            if asked.wants(rival.name) and (seed == 0 or rival.varies or name == COLD):
                tell(f"{name}, seed {seed + 1} of {asked.seeds}: {rival.name}")
                _add_rival(rows.setdefault(rival.name, Row()), rival, split, seed=seed)
        for entry in ENTRIES:
            wanted = asked.wants(entry.name, only_by_name=entry.only_by_name)
            if wanted and (seed == 0 or not entry.is_control):
                tell(f"{name}, seed {seed + 1} of {asked.seeds}: {entry.name}")
                await _add_entry(rows, entry, split, settings, plan, sizes, seed=seed, tell=tell)
    return rows


def _add_rival(row: Row, rival: Rival, split: Split, *, seed: int) -> None:
    if not rival.is_installed:
        row.missing = rival.package
        return
    began = time.monotonic()
    row.settings = row.settings or rival.choose(split)
    scores = rival.fit(split, seed, row.settings)
    row.add(by_scores(scores), split, with_cold_only=rival.sees_cold)
    row.seconds += time.monotonic() - began


async def _add_entry(
    rows: Rows,
    entry: Entry,
    split: Split,
    settings: Settings,
    plan: TrainingPlan,
    sizes: dict[str, object],
    *,
    seed: int,
    tell: Tell,
) -> None:
    began = time.monotonic()
    changed = replace(split, visible=entry.change(split.visible, seed))
    async with serving_entry(entry, changed, settings, plan, sizes, seed=seed, tell=tell) as found:
        for name, ranking in entry.rankings(found).items():
            row = rows.setdefault(name, Row())
            row.add(ranking, changed, with_cold_only="recommend path" not in name)
            row.seconds += time.monotonic() - began
