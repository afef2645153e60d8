"""A log -> what is visible before a cut, and for each user what came after: the answers that nobody may see.

Whoever ranks gets `visible` and the cases; the targets lie apart and only the measuring reads them.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from app.domain import BehaviourKind, ShownPost
from app.errors import BadInput
from app.evaluation.log import Log, before

LIKES_AT_LEAST = 20
TARGETS = 10
COLD_SHARE = 0.15
Rows = NDArray[np.int64]


@dataclass(frozen=True)
class Case:
    """One user at the moment of the cut, as a recommender may know him."""

    user_id: str
    moment: datetime  # nothing from here on is visible
    acted: Rows  # (acts,) posts acted on, each once, oldest first
    acted_at: NDArray[np.float64]  # (acts,) unix seconds of the latest act on each
    seen: Rows  # (seen,) posts shown


@dataclass(frozen=True, eq=False)
class Split:
    """A log cut in two."""

    visible: Log
    cases: tuple[Case, ...]
    targets: tuple[Rows, ...]  # of each case
    cold: Rows  # posts without any history
    cold_targets: tuple[Rows, ...]  # of each case, among the cold posts


def warm_split(log: Log) -> Split:
    """The last liked posts of everybody with enough likes are the targets; his showings from the first on are hidden.

    What was shown at one moment stays together. Raises BadInput when nobody has enough likes.
    """
    return _split(log, frozenset(), least=LIKES_AT_LEAST)


def validation_split(split: Split, *, seed: int = 0) -> Split:
    """The same cut once more, inside of what is visible: to choose settings on."""
    if not len(split.cold):
        return _split(split.visible, frozenset(), least=TARGETS)
    cold = frozenset(split.visible.posts[row].post_id for row in split.cold.tolist())
    return _split(split.visible, _drawn(split.visible, seed=seed + 1000, without=cold), least=TARGETS)


def cold_split(log: Log, *, seed: int) -> Split:
    """The warm cut, and besides a seeded share of the posts vanishes from everything visible.

    Targets among the cold posts are all that the user ever liked of them: no trace of any is visible.
    """
    return _split(log, _drawn(log, seed=seed), least=LIKES_AT_LEAST)


def _drawn(log: Log, *, seed: int, without: frozenset[str] = frozenset()) -> frozenset[str]:
    ids = sorted({post.post_id for post in log.posts} - without)
    chance = random.Random(f"cold posts {seed}")  # noqa: S311 - not for secrets
    return frozenset(chance.sample(ids, round(COLD_SHARE * len(ids))))


def _split(log: Log, cold: frozenset[str], *, least: int) -> Split:
    visible: dict[str, list[ShownPost]] = {}
    cases, targets, cold_targets = [], [], []
    for user_id, shown in log.shown.items():
        moment = cut_of(shown, least=least)
        known = list(shown) if moment is None else before(shown, moment)
        visible[user_id] = [one for one in known if one.post_id not in cold]
        if moment is None:
            continue
        later = {one.post_id for one in shown if one.shown_at >= moment and _is_liked(one)}
        later -= {one.post_id for one in known if one.post_id not in cold}
        ever = {one.post_id for one in shown if _is_liked(one)} & cold
        cases.append(_case(log, user_id, moment, visible[user_id]))
        targets.append(_rows(log, later))
        cold_targets.append(_rows(log, ever))
    if not cases:
        raise BadInput(f"nobody has {least} liked posts: import a longer log with behaviours of kind like")
    return Split(log.with_shown(visible), tuple(cases), tuple(targets), _rows(log, cold), tuple(cold_targets))


def cut_of(shown: Sequence[ShownPost], *, least: int) -> datetime | None:
    """The showing of the first of the last liked posts; None for whoever has too few, or nothing before it."""
    latest: dict[str, datetime] = {}
    for one in shown:
        if _is_liked(one):
            latest[one.post_id] = one.shown_at
    if len(latest) < least:
        return None
    cut = sorted(latest.values(), reverse=True)[TARGETS - 1]
    return cut if shown[0].shown_at < cut else None


def _is_liked(showing: ShownPost) -> bool:
    return any(act.kind is BehaviourKind.LIKE for act in showing.acts)


def _case(log: Log, user_id: str, moment: datetime, visible: Sequence[ShownPost]) -> Case:
    latest = {log.rows[one.post_id]: one.acts[-1].at.timestamp() for one in visible if one.acts}
    acted = sorted(latest, key=lambda row: (latest[row], row))
    return Case(
        user_id,
        moment,
        np.asarray(acted, np.int64),
        np.asarray([latest[row] for row in acted], np.float64),
        _rows(log, {one.post_id for one in visible}),
    )


def _rows(log: Log, post_ids: set[str] | frozenset[str]) -> Rows:
    return np.asarray(sorted(log.rows[one] for one in post_ids), np.int64)
