"""A generation and queries -> CPU of Tuwen's filtered match beside LanceDB and USearch, which find as much as it does.

Each system is asked for the posts of one category nearest to each of the references; what comes back is scored exactly,
as Tuwen scores. It is asked for the fewest posts with which that finds as many of the best posts as Tuwen does.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from app.candidates.score import Float32, best_first, serving_scores
from app.candidates.view import CandidateView
from app.recommend.choose import POOL
from scripts.bench_bare import RECALLED, Asked, Query, cpu_ms, exact_best
from scripts.bench_figures import Figure, Floor, at_most

SHARE = 0.1  # about which share of the posts the chosen category has
DEPTHS = (50, 100, 200, 400, 800, 1600, 3200)  # posts asked for, of each reference
POSTS_PER_LIST, PROBES = 200, (4, 16, 64)
ASKING = 40
TOLERANCE = 0.002  # recalls that count as the same
NOT_INSTALLED = "not installed: scripts/setup.sh bench"

Rows = NDArray[np.int64]
Search = Callable[[Float32, int], Rows]  # references (references, width), depth -> rows of passing posts, any order


@dataclass(frozen=True)
class Tried:
    """A system at some depth."""

    recall: float
    cpu_ms: float


def rival_figures(asked: Asked) -> list[Figure]:
    """Tuwen's filtered match, and the CPU of the two others beside it."""
    view, queries = asked.view, asked.queries[:ASKING]
    name = f"match within a category of {len(view.vectors):,}, CPU"
    category = _category(view)
    passing = view.columns.category.mask([category])
    exact = [exact_best(view, one, passing) for one in queries]
    own = _tried(queries, exact, lambda one: _matched(view, one, passing))
    note = f"recall {own.recall:.3f}; {passing.mean():.0%} pass"
    with TemporaryDirectory() as folder:
        try:
            systems = {"LanceDB": _lancedb(view, category, Path(folder)), "USearch": [_usearch(view, passing)]}
        except ImportError:
            return [Figure(name, own.cpu_ms, "ms", note=f"{note}; others {NOT_INSTALLED}")]
        others = {
            system: min(
                (_least(view, queries, exact, one, own.recall) for one in searches),
                key=lambda tried: (tried.recall < own.recall - TOLERANCE, tried.cpu_ms),
            )
            for system, searches in systems.items()
        }
    beside = tuple(Floor(f"{system} (recall {one.recall:.3f})", one.cpu_ms) for system, one in others.items())
    return [Figure(name, own.cpu_ms, "ms", beside, at_most(min(one.cpu_ms for one in others.values())), note)]


def _category(view: CandidateView) -> str:
    """The one whose share of the posts is nearest to SHARE."""
    column = view.columns.category
    shares = np.bincount(column.codes[column.codes >= 0], minlength=len(column.values)) / len(view.vectors)
    return column.values[int(np.argmin(np.abs(shares - SHARE)))]


def _least(
    view: CandidateView, queries: Sequence[Query], exact: Sequence[Rows], search: Search, recall: float
) -> Tried:
    """The system at the least depth that finds as much, or at the greatest."""
    for depth in DEPTHS:
        tried = _tried(queries, exact, partial(_searched, view, search, depth))
        if tried.recall >= recall - TOLERANCE:
            break
    return tried


def _searched(view: CandidateView, search: Search, depth: int, query: Query) -> Rows:
    """What a system finds for a query."""
    return _scored(view, query, search(view.vectors[query.rows], depth))


def _tried(queries: Sequence[Query], exact: Sequence[Rows], best: Callable[[Query], Rows]) -> Tried:
    """What `best` finds of the exact ones, and its cost."""
    found = [best(one) for one in queries]
    return Tried(statistics.fmean(map(_recall, exact, found)), cpu_ms(best, queries))


def _matched(view: CandidateView, query: Query, passing: NDArray[np.bool_]) -> Rows:
    return view.match(view.vectors[query.rows], query.log_weights, passing, count=POOL).rows[:RECALLED]


def _scored(view: CandidateView, query: Query, rows: Rows) -> Rows:
    """The best of the rows, each scored as Tuwen scores."""
    rows = np.unique(rows)
    references, vectors = view.vectors[query.rows], view.vectors[rows]
    scores = serving_scores(references, query.log_weights, vectors, view.quality[rows], tau=view.tau)
    return rows[best_first(scores, RECALLED)]


def _recall(exact: Rows, found: Rows) -> float:
    return float(np.isin(exact, found).mean()) if len(exact) else 1.0


def _lancedb(view: CandidateView, category: str, folder: Path) -> list[Search]:
    """Inverted lists and a bitmap of the categories, in its files; more and fewer lists looked into."""
    import lancedb
    from lancedb.index import Bitmap, IvfFlat

    vectors = view.vectors.base
    posts = pa.table(
        {
            "row": np.arange(len(vectors)),
            "category": pa.array(view.columns.category.words()),
            "vector": pa.FixedSizeListArray.from_arrays(pa.array(vectors.ravel()), vectors.shape[1]),
        }
    )
    table = lancedb.connect(folder).create_table("posts", posts)
    lists = max(1, len(vectors) // POSTS_PER_LIST)
    table.create_index("vector", config=IvfFlat(distance_type="dot", num_partitions=lists))
    table.create_index("category", config=Bitmap())

    def probing(probes: int) -> Search:
        def search(references: Float32, depth: int) -> Rows:
            asked: Any = table.search(list(references)).where(f"category = '{category}'", prefilter=True)
            found = asked.nprobes(probes).limit(depth).select(["row", "_distance"]).to_arrow()
            return np.asarray(found["row"].to_numpy(), np.int64)

        return search

    return [probing(probes) for probes in PROBES]


def _usearch(view: CandidateView, passing: NDArray[np.bool_]) -> Search:
    """A graph that knows no filter: what does not pass is dropped afterwards."""
    from usearch.index import Index

    index = Index(ndim=view.vectors.base.shape[1], metric="ip", dtype="f32")
    index.add(np.arange(len(view.vectors)), view.vectors.base)

    def search(references: Float32, depth: int) -> Rows:
        found = np.asarray(index.search(references, depth, threads=1).keys, np.int64).ravel()
        return found[passing[found]]

    return search
