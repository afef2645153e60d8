"""Vectors -> lists of posts that lie together, and back: which rows are worth a score. The only file that knows FAISS.

FAISS finds the lists' centres (k-means) and the list of each post. The rows of a generation are in the order of the
lists, so that a list is a range of rows and its vectors lie in one piece of memory.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray

from app.candidates.score import Float32, serving_scores
from app.errors import BadArtefact
from models.artefact import small_file

Rows = NDArray[np.int64]  # (rows,)
CENTRES, LISTS, PROBE = "index.faiss", "lists.npy", "probe.json"
FEW_POSTS = 4_000  # one list: they are all scored
ROWS_PER_LIST = 50
LISTS_PER_ROOT = 3  # of the number of posts: beyond, ranking the lists would cost more than scoring their posts
LEARNT_FROM_PER_LIST = 40  # posts from which k-means learns
ROUNDS = 8
SEED = 1
LISTS_COMPARED = 16  # of a loaded index, with the vectors beside it
TOLERANCE = 1e-3  # of a mean


@dataclass(frozen=True)
class ListIndex:
    """Lists of rows around centres, and how many posts are scored for one request."""

    centres: Float32  # (lists, width) means of the vectors
    quality: Float32  # (lists,) means
    starts: Rows  # (lists + 1,): list i has the rows from starts[i] up to starts[i + 1]
    probed: int  # passing posts that are scored, at least
    recall: float | None = None  # measured with it, on sampled requests; None = every post is scored

    @property
    def posts(self) -> int:
        """Rows of all lists."""
        return int(self.starts[-1])

    def holds(self, vectors: Float32, quality: Float32) -> bool:
        """Whether some of the lists are of these vectors (posts, width) and qualities (posts,).

        A checksum tells of damage; this tells of an index that is whole, and of other posts.
        """
        if self.centres.shape[1] != vectors.shape[1]:  # all there is to see of a single list
            return False
        lists = len(self.centres)
        compared = range(0, lists, -(-lists // LISTS_COMPARED)) if lists > 1 else ()
        for one in compared:
            rows = slice(self.starts[one], self.starts[one + 1])
            means = (vectors[rows].mean(axis=0), quality[rows].mean())
            if not all(map(_near, (self.centres[one], self.quality[one]), means)):
                return False
        return True

    def ranked(self, references: Float32, log_weights: Float32, *, tau: float) -> Rows:
        """Lists, the most promising first, (lists,): a list is judged as if its centre were a post."""
        scores = serving_scores(references, log_weights, self.centres, self.quality, tau=tau)
        return np.argsort(-scores, kind="stable")

    def near(
        self, references: Float32, log_weights: Float32, passing: NDArray[np.bool_], *, tau: float, count: int
    ) -> Rows:
        """Passing rows that are worth an exact score, in order: those of the best lists, until enough have passed.

        references (references, width), log_weights (references,), passing (posts,). At least `count` rows, if so many
        pass; all that pass, if they are few.
        """
        wanted = max(self.probed, count)
        if np.count_nonzero(passing) <= wanted:
            return np.flatnonzero(passing)
        order = self.ranked(references, log_weights, tau=tau)
        reached = np.cumsum(np.diff(self.starts)[order])
        found: list[Rows] = []
        first, enough, still = 0, wanted, wanted
        while still > 0:
            last = int(np.searchsorted(reached, enough)) + 1
            rows = self._rows_of(order[first:last])
            found.append(rows[passing[rows]])
            first, enough, still = last, 2 * enough, still - len(found[-1])
        return np.sort(np.concatenate(found))

    def _rows_of(self, lists: Rows) -> Rows:
        """The rows of some lists, (rows,)."""
        first = self.starts[lists]
        sizes = self.starts[lists + 1] - first
        shift = first - (np.cumsum(sizes) - sizes)
        return np.repeat(shift, sizes) + np.arange(sizes.sum())


def build_lists(vectors: Float32, quality: Float32) -> tuple[Rows, ListIndex]:
    """The order in which the posts are to be kept, (posts,), and the index over them in that order.

    vectors (posts, width), quality (posts,). The index scores every post until a smaller number is measured.
    """
    posts, width = vectors.shape
    if posts <= FEW_POSTS:
        starts = np.asarray([0, posts], np.int64)
        return np.arange(posts), ListIndex(np.zeros((1, width), np.float32), np.zeros(1, np.float32), starts, posts)
    lists = min(posts // ROWS_PER_LIST, int(LISTS_PER_ROOT * posts**0.5))
    kmeans = faiss.Kmeans(width, lists, niter=ROUNDS, seed=SEED, max_points_per_centroid=LEARNT_FROM_PER_LIST)
    kmeans.train(np.ascontiguousarray(vectors))
    list_of = kmeans.index.search(np.ascontiguousarray(vectors), 1)[1][:, 0]
    order = np.argsort(list_of, kind="stable")
    sizes = np.bincount(list_of, minlength=lists)
    sizes = sizes[sizes > 0]
    starts = np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)
    centres = np.add.reduceat(vectors[order], starts[:-1], axis=0) / sizes[:, None]
    worth = np.add.reduceat(quality[order], starts[:-1]) / sizes
    return order, ListIndex(centres.astype(np.float32), worth.astype(np.float32), starts, posts)


def write_index(index: ListIndex, folder: Path) -> None:
    """Write the index into a folder that the caller then moves into place. Raises OSError."""
    centres = faiss.IndexFlatIP(index.centres.shape[1] + 1)
    centres.add(np.ascontiguousarray(np.concatenate([index.centres, index.quality[:, None]], axis=1)))
    try:
        faiss.write_index(centres, str(folder / CENTRES))
    except RuntimeError as error:
        raise OSError(f"{CENTRES} could not be written") from error
    np.save(folder / LISTS, index.starts, allow_pickle=False)
    (folder / PROBE).write_text(json.dumps({"probed_posts": index.probed, "measured_recall": index.recall}))


def read_index(folder: Path) -> ListIndex:
    """Read an index whose checksums have been verified. Raises BadArtefact, OSError, ValueError."""
    try:
        centres = faiss.read_index(str(folder / CENTRES))
        items = centres.reconstruct_n(0, centres.ntotal)
    except RuntimeError as error:
        raise BadArtefact(f"{CENTRES} is no FAISS index") from error
    starts = _read_starts(folder / LISTS)
    probe = json.loads(small_file(folder / PROBE))
    if starts.shape != (len(items) + 1,) or starts[0] != 0 or (np.diff(starts) < 0).any():
        raise ValueError(f"{CENTRES} and {LISTS} do not belong together")
    return ListIndex(
        np.ascontiguousarray(items[:, :-1]),
        np.ascontiguousarray(items[:, -1]),
        starts,
        int(probe["probed_posts"]),
        probe["measured_recall"],
    )


def _read_starts(file: Path) -> Rows:
    """Where the lists begin. Raises ValueError for what is no array: `numpy.load` would also open archives."""
    with file.open("rb") as opened:
        starts: Rows = np.lib.format.read_array(opened, allow_pickle=False)
    if starts.dtype != np.int64:
        raise ValueError(f"{file.name} holds {starts.dtype}")
    return starts


def _near(one: Float32, other: Float32) -> bool:
    return np.shape(one) == np.shape(other) and np.allclose(one, other, atol=TOLERANCE)


def set_index_threads(threads: int) -> None:
    """Compute threads of FAISS in this process."""
    faiss.omp_set_num_threads(threads)
