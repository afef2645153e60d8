"""The vectors of a generation, mapped and shared, and those of newer posts behind them: read by row, never copied."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class Vectors:
    """Vectors by row: first the generation's, then the newer ones."""

    base: Float32  # (posts, width)
    newer: Float32  # (newer posts, width)

    @classmethod
    def of(cls, base: Float32) -> Vectors:
        """Of a generation (posts, width) to which nothing was added."""
        return cls(base, base[:0])

    def __len__(self) -> int:
        return len(self.base) + len(self.newer)

    def __getitem__(self, rows: NDArray[np.int64] | list[int] | int) -> Float32:
        """Vectors (…, width) of rows (…)."""
        wanted = np.asarray(rows)
        first = len(self.base)
        if not len(self.newer):
            return np.take(self.base, wanted, axis=0)
        if not first:
            return np.take(self.newer, wanted, axis=0)
        is_newer = wanted >= first
        found = np.take(self.base, np.where(is_newer, 0, wanted), axis=0)
        found[is_newer] = self.newer[wanted[is_newer] - first]
        return found
