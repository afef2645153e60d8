"""What is visible of a log -> chance, popularity, and popularity of late."""

from __future__ import annotations

import zlib

import numpy as np
from numpy.typing import NDArray

from app.evaluation.log import Log
from app.evaluation.measure import Scores
from app.evaluation.split import Case

DAY_SECONDS = 86400.0
HALF_LIVES_DAYS = (3.0, 10.0, 30.0, 100.0)


def by_chance(visible: Log, *, seed: int) -> Scores:
    """Another random order for everybody."""

    def scores(case: Case) -> NDArray[np.float64]:
        return np.random.default_rng([seed, zlib.crc32(case.user_id.encode())]).random(len(visible.posts))

    return scores


def by_popularity(visible: Log) -> Scores:
    """How many accounts acted on each post."""
    pairs = {(one.user_id, one.post_id) for shown in visible.shown.values() for one in shown if one.acts}
    rows = np.asarray([visible.rows[post_id] for _, post_id in pairs], np.int64)
    counts = np.bincount(rows, minlength=len(visible.posts)).astype(np.float64)
    return lambda case: counts


def by_recent_popularity(visible: Log, *, half_life_days: float) -> Scores:
    """Acts before the case's moment, counting half after every half-life."""
    acts = [
        (act.at.timestamp(), visible.rows[one.post_id])
        for shown in visible.shown.values()
        for one in shown
        for act in one.acts[:1]
    ]
    at, rows = (np.asarray(column) for column in zip(*acts, strict=True)) if acts else (np.zeros(0), np.zeros(0, int))

    def scores(case: Case) -> NDArray[np.float64]:
        age_days = (case.moment.timestamp() - at) / DAY_SECONDS
        weights = np.where(age_days > 0, 0.5 ** (np.maximum(age_days, 0) / half_life_days), 0.0)
        return np.bincount(rows.astype(np.int64), weights, minlength=len(visible.posts)).astype(np.float64)

    return scores
