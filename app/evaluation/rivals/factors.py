"""Acts by user and post -> ALS (Hu, Koren & Volinsky 2008) and BPR (Rendle et al. 2009) of the package implicit."""

from __future__ import annotations

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from app.evaluation.log import Log
from app.evaluation.measure import Scores
from app.evaluation.rivals.neighbours import acted_rows
from app.evaluation.split import Case

SEED = 0


def by_als(visible: Log, *, factors: int, regularisation: float) -> Scores:
    """Alternating least squares; a case's factors are those of what he acted on."""
    from implicit.als import AlternatingLeastSquares

    model = AlternatingLeastSquares(factors=factors, regularization=regularisation, random_state=SEED, num_threads=1)
    return _fitted(model, visible)


def by_bpr(visible: Log, *, factors: int, regularisation: float) -> Scores:
    """Pairs of a post acted on and one not."""
    from implicit.bpr import BayesianPersonalizedRanking

    model = BayesianPersonalizedRanking(
        factors=factors, regularization=regularisation, random_state=SEED, num_threads=1
    )
    return _fitted(model, visible)


class _Model(Protocol):
    """What both have."""

    item_factors: NDArray[np.float32]  # (posts, factors)
    user_factors: NDArray[np.float32]  # (users, factors)

    def fit(self, user_items: object, *, show_progress: bool) -> None:
        """Learn from a sparse (users, posts)."""


def _fitted(model: _Model, visible: Log) -> Scores:
    """Scores of the fitted factors."""
    from scipy.sparse import csr_matrix

    users = {user_id: number for number, user_id in enumerate(visible.shown)}
    acted = acted_rows(visible)
    columns = np.concatenate(acted)
    lines = np.repeat(np.arange(len(acted)), [len(rows) for rows in acted])
    shape = (len(users), len(visible.posts))
    model.fit(csr_matrix((np.ones(len(columns), np.float32), (lines, columns)), shape=shape), show_progress=False)

    def scores(case: Case) -> NDArray[np.float32]:
        found: NDArray[np.float32] = model.item_factors @ model.user_factors[users[case.user_id]]
        return found

    return scores
