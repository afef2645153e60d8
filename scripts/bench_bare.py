"""A generation and users -> what no request can do without, measured alone: FAISS and the network; and the match."""

from __future__ import annotations

import os
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import faiss
import numpy as np
import torch
from numpy.typing import NDArray

from app.candidates.encode import use_threads
from app.candidates.score import Float32, best_first, serving_scores
from app.candidates.serving import ServingCandidates
from app.candidates.view import CandidateView
from app.recommend.choose import POOL
from app.samples.history import history_before
from app.settings import Settings
from app.storage.stores import open_stores
from app.storage.user_state import load_user_state
from models.batch import BEHAVIOURS, History

RECALLED, PAGE = 20, 20
SHARES = (1.0, 0.5, 0.05, 0.005)
ASKING, REFERENCES = 100, 30
FAISS_DEPTH, FAISS_PROBES, FAISS_ROWS_PER_LIST = 200, 16, 200
FLAT_AT_MOST = 20_000  # posts that FAISS compares one by one


@dataclass(frozen=True)
class Query:
    """The references of one user, latest first, and what they count."""

    rows: NDArray[np.int64]  # (references,)
    log_weights: Float32  # (references,)


@dataclass(frozen=True)
class Bare:
    """The unavoidable parts of one request, CPU ms, and what the index finds."""

    faiss_ms: float
    network_ms: float
    recall: dict[float, float]  # share that passes -> recall@20
    own_match_ms: float
    vector_bytes: int  # of one post


@dataclass(frozen=True)
class Asked:
    """What the serving generation is asked by some users."""

    view: CandidateView
    queries: list[Query]
    history_items: int  # of one user


async def asked_of(settings: Settings, users: Sequence[str]) -> Asked:
    """The serving generation in this process, and what these users' requests would ask of it."""
    async with open_stores(settings) as stores:
        serving = ServingCandidates(stores)
        await serving.refresh()
        view = serving.view()
        states = [(await load_user_state(stores, user)).state for user in users[:ASKING]]
    queries = [_query(view.row_of.known([one.post_id for one in state.shown if one.acts])) for state in states]
    moment = datetime.now(UTC)
    histories = [history_before(state.shown, moment, view.history_limits) for state in states]
    return Asked(view, queries, round(statistics.fmean(map(len, histories))))


def measure_bare(asked: Asked) -> Bare:
    """FAISS and the network on what requests give them, and the recall of the match, with one thread."""
    use_threads(1)
    view, queries = asked.view, asked.queries
    every = np.ones(len(view.vectors), bool)
    return Bare(
        _faiss_ms(view, queries),
        _network_ms(view, items=asked.history_items),
        {share: _recall(view, queries, share) for share in SHARES},
        cpu_ms(lambda one: view.match(view.vectors[one.rows], one.log_weights, every, count=POOL), queries),
        view.vectors.base[0].nbytes,
    )


def _query(acted_on: NDArray[np.int64]) -> Query:
    rows = acted_on[::-1][:REFERENCES].copy()
    return Query(rows, np.float32(-0.5) * np.log1p(np.arange(len(rows), dtype=np.float32)))


def cpu_ms(work: Callable[[Query], object], queries: Sequence[Query]) -> float:
    """CPU ms of this process for one of them, the second time."""
    for one in queries:
        work(one)
    began = time.process_time()
    for one in queries:
        work(one)
    return 1000 * (time.process_time() - began) / len(queries)


def _faiss_ms(view: CandidateView, queries: Sequence[Query]) -> float:
    """The bare FAISS search: each reference asks for its nearest posts in inverted lists, all in one call."""
    items = np.concatenate([view.vectors.base, view.quality[:, None]], axis=1)
    faiss.omp_set_num_threads(os.cpu_count() or 1)
    index: faiss.Index = faiss.IndexFlatIP(items.shape[1])
    if len(items) > FLAT_AT_MOST:
        lists = len(items) // FAISS_ROWS_PER_LIST
        index = lists_index = faiss.IndexIVFFlat(index, items.shape[1], lists, faiss.METRIC_INNER_PRODUCT)
        index.train(items[:: max(1, len(items) // (40 * lists))])
        lists_index.nprobe = FAISS_PROBES
    index.add(items)
    faiss.omp_set_num_threads(1)

    def search(one: Query) -> object:
        references = view.vectors[one.rows]
        asked = np.concatenate([np.float32(view.tau) * references, np.ones((len(references), 1), np.float32)], axis=1)
        return index.search(asked, FAISS_DEPTH)

    return cpu_ms(search, queries)


def _network_ms(view: CandidateView, *, items: int) -> float:
    """The bare forward pass over a history of so many items: fusion, order of the matches, behaviours of the page."""
    width = view.vectors.base.shape[1]
    zeros = torch.zeros(1, items, dtype=torch.int64)
    history = History(
        post=zeros,
        mask=torch.ones(1, items, dtype=torch.bool),
        sequence=zeros,
        order=zeros,
        happened=torch.ones(1, items, BEHAVIOURS),
        seconds_since=torch.ones(1, items, BEHAVIOURS),
        seconds_since_shown=torch.ones(1, items),
        is_reference=torch.ones(1, items, dtype=torch.bool),
    )
    pool, quality, semantic = torch.randn(POOL, width), torch.zeros(POOL), torch.randn(1, items, width)

    def once(one: Query) -> object:
        with torch.inference_mode():
            fused = view.network.fuse(semantic, history)
            view.network.follow(pool, fused, history.mask)
            return view.network.rank(pool[:PAGE], quality[:PAGE], fused, history.mask)

    return cpu_ms(once, [_query(np.zeros(0, np.int64))] * ASKING)


def _recall(view: CandidateView, queries: Sequence[Query], share: float) -> float:
    """Share of the exact best, among the posts that pass, that the match finds."""
    passing = np.random.default_rng(3).random(len(view.vectors)) < share
    return statistics.fmean(recall_of(view, one, passing) for one in queries)


def recall_of(view: CandidateView, query: Query, passing: NDArray[np.bool_]) -> float:
    """Of the best by the exact score among passing (posts,) that are no references; 1 where nothing passes."""
    allowed = passing.copy()
    allowed[query.rows] = False
    best = exact_best(view, query, allowed)
    found = view.match(view.vectors[query.rows], query.log_weights, allowed, count=RECALLED).rows
    return float(np.isin(best, found).mean()) if len(best) else 1.0


def exact_best(view: CandidateView, query: Query, allowed: NDArray[np.bool_]) -> NDArray[np.int64]:
    """Rows (best,) of the allowed posts (posts,) that score highest, every one of them scored."""
    scores = serving_scores(view.vectors[query.rows], query.log_weights, view.vectors.base, view.quality, tau=view.tau)
    best = best_first(np.where(allowed, scores, -np.inf), RECALLED)
    return best[allowed[best]]
