"""Stores with the visible part of a log -> the product, trained and serving from them, as rankings to be measured.

Everything here is the code that trains and serves; this file only carries rows from one numbering to the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

import numpy as np

from app.candidates.reindex import Artefact, reindex
from app.candidates.serving import ServingCandidates
from app.candidates.view import CandidateView
from app.domain import Reference
from app.errors import Unavailable
from app.evaluation.measure import DEPTH, Mask, Ranking
from app.evaluation.split import Case, Rows, Split
from app.plan import TrainingPlan
from app.recommend.choose import choose_posts
from app.recommend.matching import log_weights, match_posts
from app.recommend.request import RecommendRequest
from app.references.own import own_references
from app.storage.peers import refresh_peers
from app.storage.postgres import sync_engine
from app.storage.stores import Stores
from app.storage.user_state import LoadedUser, load_user_state
from app.training.cycle import Tell, run_cycle


async def trained(
    stores: Stores, plan: TrainingPlan, sizes: Mapping[str, object], *, seed: int, tell: Tell
) -> Artefact:
    """One training cycle over all that is in the stores: they end at the cut, so nothing more needs to be held out."""
    engine = sync_engine(stores.addresses.database_url)
    try:
        return await run_cycle(stores, engine, replace(plan, seed=seed, held_out_share=0.0), dict(sizes), tell=tell)
    finally:
        engine.dispose()


@dataclass(frozen=True)
class Served:
    """A generation as a request sees it, and the users as serving knows them."""

    view: CandidateView
    users: Mapping[str, LoadedUser]
    row_of_view: Rows  # (posts of the log,) the view's row of each
    row_of_log: Rows  # (rows of the view,) the log's row of each

    def references(self, case: Case) -> tuple[Reference, ...]:
        """The user's own reference posts."""
        return own_references(self.users[case.user_id].state.shown, (), known=self.view.row_of)

    def reference_matching(self) -> Ranking:
        """The match over the user's own references."""

        def rank(case: Case, candidates: Mask) -> Rows:
            found = match_posts(self.view, self.references(case), self._passing(candidates), count=DEPTH)
            return self.row_of_log[found.rows]

        return rank

    def pooled_vector(self) -> Ranking:
        """The same with one vector instead: the weighted mean of the references."""

        def rank(case: Case, candidates: Mask) -> Rows:
            references = self.references(case)
            if not len(references):
                return np.zeros(0, np.int64)
            rows = [self.view.row_of[reference.post_id] for reference in references]
            pooled = np.exp(log_weights(self.view, references)) @ self.view.vectors[rows]
            pooled /= max(float(np.linalg.norm(pooled)), 1e-9)
            scores = self.view.tau * (self.view.vectors[np.arange(len(self.view.columns))] @ pooled) + self.view.quality
            scores[~self._passing(candidates)] = -np.inf
            order = np.argsort(-scores, kind="stable")[:DEPTH]
            best: Rows = self.row_of_log[order[np.isfinite(scores[order])]]
            return best

        return rank

    def recommend_path(self) -> Ranking:
        """The page that a request gets: matching with peers, ranking, fillers. It leaves out what was seen itself."""

        def rank(case: Case, candidates: Mask) -> Rows:
            request = RecommendRequest(case.user_id, k=DEPTH)
            state = self.users[case.user_id].state
            return self.row_of_log[choose_posts(self.view, request, state, returned=(), moment=case.moment).rows]

        return rank

    def _passing(self, candidates: Mask) -> Mask:
        """The candidates (posts of the log,) in the order of the view, (rows of the view,)."""
        return candidates[self.row_of_log]


async def served(stores: Stores, artefact: Artefact | None, split: Split) -> Served:
    """Encode, index, promote, look up peers and users. Without an artefact it is the pretrained start that serves."""
    await reindex(stores, artefact, progress=lambda *_: None)
    await refresh_peers(stores.database, [case.user_id for case in split.cases])
    serving = ServingCandidates(stores)
    await serving.refresh()
    view = serving.view()
    users = {case.user_id: await whole_state(stores, case.user_id) for case in split.cases}
    row_of_view = np.asarray([view.row_of[post.post_id] for post in split.visible.posts], np.int64)
    row_of_log = np.full(len(view.columns), -1, np.int64)
    row_of_log[row_of_view] = np.arange(len(row_of_view))
    return Served(view, users, row_of_view, row_of_log)


async def whole_state(stores: Stores, user_id: str) -> LoadedUser:
    """What is known of the user. Raises Unavailable where a request would be answered with less than all of it."""
    loaded = await load_user_state(stores, user_id)
    if loaded.degraded:
        raise Unavailable(
            f"{user_id} could not be read whole ({', '.join(loaded.degraded)}): is the machine overloaded?"
        )
    return loaded
