"""Vectors -> FAISS index, and back: which rows are near which references. The only file that knows FAISS."""

from __future__ import annotations

from pathlib import Path

import faiss
import numpy as np
from numpy.typing import NDArray

from app.errors import BadArtefact

Index = faiss.Index
EXACT_POSTS = 20_000  # below this the whole matrix is scored at once, which is faster than any index
ROWS_PER_LIST = 200
PROBED_LISTS = 16


def build_index(items: NDArray[np.float32]) -> Index:
    """Index over items (posts, width) by inner product: flat for few posts, inverted lists for many."""
    posts, width = items.shape
    index: Index = faiss.IndexFlatIP(width)
    if posts > EXACT_POSTS:
        lists = posts // ROWS_PER_LIST
        index = faiss.IndexIVFFlat(index, width, lists, faiss.METRIC_INNER_PRODUCT)
        index.train(items[:: max(1, posts // (lists * 50))])
    index.add(items)
    return index


def write_index(index: Index, file: Path) -> None:
    """Write the index; the caller moves the finished folder into place. Raises OSError."""
    try:
        faiss.write_index(index, str(file))
    except RuntimeError as error:
        raise OSError(f"{file.name} could not be written") from error


def read_index(file: Path) -> Index:
    """Read an index whose checksum has been verified. Raises BadArtefact."""
    try:
        index = faiss.read_index(str(file))
    except RuntimeError as error:
        raise BadArtefact(f"{file.name} is no FAISS index") from error
    if hasattr(index, "nprobe"):
        index.nprobe = PROBED_LISTS
    return index


def near_rows(index: Index, queries: NDArray[np.float32], *, depth: int) -> NDArray[np.int64]:
    """Rows among the `depth` nearest of any query (queries, width), each once, (rows,)."""
    _, rows = index.search(queries, depth)
    distinct: NDArray[np.int64] = np.unique(rows)
    return distinct[distinct >= 0]


def set_index_threads(threads: int) -> None:
    """Compute threads of FAISS in this process."""
    faiss.omp_set_num_threads(threads)
