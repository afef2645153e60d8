"""One text per post, kept as Arrow keeps it: mapped from a file that all processes share, or in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Generic, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

Text = TypeVar("Text", str, str | None)


class Texts(Generic[Text]):
    """A column of texts, read one at a time; millions of Python strings would take several times the room."""

    def __init__(self, array: pa.ChunkedArray) -> None:
        self.array = array

    @classmethod
    def of(cls, texts: Iterable[Text]) -> Texts[Text]:
        """A column in memory."""
        return cls(pa.chunked_array([pa.array(list(texts), pa.string())]))

    def __len__(self) -> int:
        return len(self.array)

    def __getitem__(self, row: int) -> Text:
        text: Text = self.array[int(row)].as_py()
        return text

    def __iter__(self) -> Iterator[Text]:
        return iter(self.array.to_pylist())

    def followed_by(self, more: Texts[Text]) -> Texts[Text]:
        """These rows and then those of `more`, without a copy."""
        return Texts(pa.chunked_array([*self.array.chunks, *more.array.chunks], pa.string()))

    def equal(self, rows: NDArray[np.int64], texts: Sequence[str]) -> NDArray[np.bool_]:
        """Which of the rows (rows,) have the text that stands at the same place in `texts`."""
        same = pc.equal(self.array.take(pa.array(rows)), pa.array(texts, pa.string()))
        return np.asarray(same.to_numpy(), bool)
