"""Post id -> row, in eight bytes for each post of a generation: sorted hashes of the ids beside their rows."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from functools import lru_cache
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from app.candidates.texts import Texts

UNKNOWN = -1
REMEMBERED = 50_000  # ids looked up one at a time: references and histories name the same posts again and again


class PostRows(Mapping[str, int]):
    """Rows by post id. `newer` posts lie over those of the generation; a row they supersede is no longer found."""

    def __init__(
        self,
        post_ids: Texts[str],
        hashes: NDArray[np.uint32],
        rows: NDArray[np.int32],
        newer: Mapping[str, int] | None = None,
    ) -> None:
        """post_ids (posts,) by row; hashes (posts,) ascending, rows (posts,) of the same posts."""
        self._post_ids = post_ids
        self._hashes = hashes
        self._rows = rows
        self._newer = newer or {}
        self._find_one = _remembering(post_ids, hashes, rows)

    @classmethod
    def of(cls, post_ids: Texts[str]) -> PostRows:
        """Rows of posts in memory."""
        return cls(post_ids, *hashed_rows(post_ids))

    def with_newer(self, newer: Mapping[str, int]) -> PostRows:
        """The same with other newer posts over them."""
        changed = PostRows.__new__(PostRows)
        changed.__dict__.update(self.__dict__, _newer=newer)
        return changed

    def __getitem__(self, post_id: str) -> int:
        row = self._newer.get(post_id, UNKNOWN)
        if row == UNKNOWN:
            row = self._find_one(post_id)
        if row == UNKNOWN:
            raise KeyError(post_id)
        return row

    def __iter__(self) -> Iterator[str]:
        yield from self._newer
        yield from (post_id for post_id in self._post_ids if post_id not in self._newer)

    def __len__(self) -> int:
        superseded = sum(self._find_one(post_id) != UNKNOWN for post_id in self._newer)
        return len(self._hashes) + len(self._newer) - superseded

    def find(self, post_ids: Collection[str]) -> NDArray[np.int64]:
        """The row of each id, UNKNOWN for one that no post has, (ids,). For thousands at once."""
        ids = list(post_ids)
        found = np.full(len(ids), UNKNOWN, np.int64)
        if not ids:
            return found
        hashes = np.fromiter((_hash(one) for one in ids), np.uint32, len(ids))
        at = np.searchsorted(self._hashes, hashes)
        still = np.arange(len(ids))
        while len(still):  # more than once only for ids that share a hash
            still = still[at[still] < len(self._hashes)]
            still = still[self._hashes[at[still]] == hashes[still]]
            rows = self._rows[at[still]].astype(np.int64)
            same = self._post_ids.equal(rows, [ids[one] for one in still])
            found[still[same]] = rows[same]
            still = still[~same]
            at[still] += 1
        if self._newer:
            found[:] = [self._newer.get(one, row) for one, row in zip(ids, found.tolist(), strict=True)]
        return found

    def known(self, post_ids: Collection[str]) -> NDArray[np.int64]:
        """Rows of those ids that a post has, (rows,)."""
        rows: NDArray[np.int64] = self.find(post_ids)
        return np.compress(rows != UNKNOWN, rows)


def hashed_rows(post_ids: Iterable[str]) -> tuple[NDArray[np.uint32], NDArray[np.int32]]:
    """Hashes in ascending order and the rows of their posts, both (posts,)."""
    hashes = np.asarray([_hash(post_id) for post_id in post_ids], np.uint32)
    rows = np.argsort(hashes, kind="stable").astype(np.int32)
    return hashes[rows], rows


def _hash(post_id: str) -> int:
    return crc32(post_id.encode())


def _remembering(post_ids: Texts[str], hashes: NDArray[np.uint32], rows: NDArray[np.int32]) -> Callable[[str], int]:
    """A function from id to row or UNKNOWN. It holds the arrays alone: in a cycle with their owner they would stay."""

    @lru_cache(maxsize=REMEMBERED)
    def find_one(post_id: str) -> int:
        wanted = np.uint32(_hash(post_id))
        at = int(np.searchsorted(hashes, wanted))
        while at < len(hashes) and hashes[at] == wanted:
            row = int(rows[at])
            if post_ids[row] == post_id:
                return row
            at += 1
        return UNKNOWN

    return find_one
