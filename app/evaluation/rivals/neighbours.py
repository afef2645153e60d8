"""Acts by user and post -> item-kNN, and EASE (Steck 2019, "Embarrassingly Shallow Autoencoders for Sparse Data")."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from app.evaluation.log import Log
from app.evaluation.measure import Scores
from app.evaluation.split import Case

POSTS_AT_MOST = 12_000  # the most acted on; the methods hold a square of them
USERS_AT_ONCE = 1000
Floats = NDArray[np.float32]


def acted_rows(visible: Log) -> list[NDArray[np.int64]]:
    """Of every user the posts that he acted on, each once, oldest first."""
    return [
        np.asarray(list(dict.fromkeys(visible.rows[one.post_id] for one in shown if one.acts)), np.int64)
        for shown in visible.shown.values()
    ]


def together(visible: Log) -> tuple[Floats, NDArray[np.int64]]:
    """How many accounts acted on both of two posts (kept, kept), and which rows these are (kept,)."""
    users = acted_rows(visible)
    counts = np.bincount(np.concatenate(users), minlength=len(visible.posts))
    kept = np.sort(np.argsort(-counts, kind="stable")[:POSTS_AT_MOST])
    gram = np.zeros((len(kept), len(kept)), np.float32)
    for matrix in _matrices(users, len(visible.posts)):
        gram += matrix[:, kept].T @ matrix[:, kept]
    return gram, kept


def _matrices(users: list[NDArray[np.int64]], posts: int) -> Iterator[Floats]:
    """(some users, posts) 0/1."""
    for at in range(0, len(users), USERS_AT_ONCE):
        some = users[at : at + USERS_AT_ONCE]
        matrix = np.zeros((len(some), posts), np.float32)
        for number, rows in enumerate(some):
            matrix[number, rows] = 1
        yield matrix


def by_item_neighbours(visible: Log, *, neighbours: int, shrinkage: float, half_life: float | None) -> Scores:
    """Cosine of the posts' accounts, the nearest of each post only."""
    gram, kept = together(visible)
    size = np.sqrt(np.maximum(np.diag(gram), 1))
    likeness: Floats = (gram / (np.outer(size, size) + shrinkage)).astype(np.float32)
    np.fill_diagonal(likeness, 0)
    if neighbours < len(kept):
        threshold = np.partition(likeness, -neighbours, axis=0)[-neighbours]
        likeness[likeness < threshold] = 0
    return _through(likeness, kept, len(visible.posts), half_life=half_life)


def by_ease(visible: Log, *, regularisation: float, half_life: float | None) -> Scores:
    """The closed-form linear autoencoder; what a user did lately may count more when he is asked for."""
    gram, kept = together(visible)
    inverse = np.linalg.inv(gram.astype(np.float64) + regularisation * np.eye(len(kept)))
    weights = (-inverse / np.diag(inverse)).astype(np.float32)
    np.fill_diagonal(weights, 0)
    return _through(weights, kept, len(visible.posts), half_life=half_life)


def _through(weights: Floats, kept: NDArray[np.int64], posts: int, *, half_life: float | None) -> Scores:
    """What a case did times weights (kept, kept); other posts come last."""
    place = np.full(posts, -1)
    place[kept] = np.arange(len(kept))

    def scores(case: Case) -> NDArray[np.float32]:
        places = place[case.acted]
        influence = recency_weights(len(case.acted), half_life)[places >= 0]
        found = np.full(posts, -np.inf, np.float32)
        found[kept] = influence @ weights[places[places >= 0]]
        return found

    return scores


def recency_weights(acts: int, half_life: float | None) -> Floats:
    """Weights (acts,), oldest first: halved every `half_life` acts before the latest; all 1 without."""
    if half_life is None:
        return np.ones(acts, np.float32)
    weights: Floats = (0.5 ** (np.arange(acts)[::-1] / half_life)).astype(np.float32)
    return weights
