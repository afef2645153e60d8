"""A vector and a view -> the candidates most like it, by cosine alone and exactly: for people, not for feeds."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from app.candidates.view import CandidateView

TWIN_SIMILARITY = 0.97  # two posts this much alike are taken for the same


@dataclass(frozen=True)
class Neighbours:
    """Rows and their likeness, most alike first."""

    rows: NDArray[np.int64]  # (found,)
    similarity: NDArray[np.float32]  # (found,) cosine


def nearest(view: CandidateView, vector: NDArray[np.float32], among: NDArray[np.bool_], *, count: int) -> Neighbours:
    """The `count` rows of among (posts,) whose vectors are most like vector (width,) of unit length."""
    rows = np.flatnonzero(among)
    similarity = np.asarray(view.vectors[rows] @ vector, np.float32)
    order = np.argsort(-similarity, kind="stable")[:count]
    return Neighbours(rows[order], similarity[order])


def neighbours_of(view: CandidateView, post_id: str, *, count: int) -> Neighbours:
    """The living posts most like a post that has a vector."""
    row = view.row_of[post_id]
    others = view.alive.copy()
    others[row] = False
    return nearest(view, view.vectors[row], others, count=count)


def twins_of(view: CandidateView, post_id: str, neighbours: Neighbours) -> list[str]:
    """Of the neighbours, those with the very picture of the post, or nearly its vector."""
    columns, row = view.columns, view.row_of[post_id]
    picture = columns.picture_hashes[row]
    return [
        columns.post_ids[other]
        for other, similarity in zip(neighbours.rows.tolist(), neighbours.similarity.tolist(), strict=True)
        if similarity >= TWIN_SIMILARITY or (picture is not None and columns.picture_hashes[other] == picture)
    ]
