"""Words of posts -> numbers, one or several for each row, and which rows carry a word."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

NO_CODE = -1
_NOTHING = (np.zeros(0, np.int32), np.zeros(0, np.int32))


@dataclass(frozen=True)
class Codes:
    """A column of few distinct words: `values[codes[row]]`, and -1 where the post has none."""

    values: list[str]
    codes: NDArray[np.int32]  # (posts,)

    @classmethod
    def of(cls, words: Iterable[str | None]) -> Codes:
        """Encode one word per post, in order."""
        number: dict[str, int] = {}
        codes = [NO_CODE if word is None else number.setdefault(word, len(number)) for word in words]
        return cls(list(number), np.asarray(codes, dtype=np.int32))

    def followed_by(self, more: Codes) -> Codes:
        """These rows and then those of `more`, without looking at each of these again."""
        number = dict(self._number)
        codes = [NO_CODE if word is None else number.setdefault(word, len(number)) for word in more.words()]
        return Codes(list(number), np.concatenate([self.codes, np.asarray(codes, dtype=np.int32)]))

    @cached_property
    def _number(self) -> dict[str, int]:
        return {word: code for code, word in enumerate(self.values)}

    def __contains__(self, word: str) -> bool:
        return word in self._number

    def mask(self, wanted: Iterable[str]) -> NDArray[np.bool_]:
        """Which rows carry one of the wanted words, (posts,) bool."""
        codes = [self._number[word] for word in wanted if word in self._number]
        return np.isin(self.codes, codes)

    def word(self, row: int) -> str | None:
        """The word of one row."""
        code = int(self.codes[row])
        return None if code == NO_CODE else self.values[code]

    def words(self) -> list[str | None]:
        """One word per post, in order."""
        return [None if code == NO_CODE else self.values[code] for code in self.codes.tolist()]


@dataclass(frozen=True)
class CodeLists:
    """A column of several words per post: those of a row are `values[codes[ends[row - 1] : ends[row]]]`."""

    values: list[str]
    codes: NDArray[np.int32]  # (words of all posts,)
    ends: NDArray[np.int32]  # (posts,)

    @classmethod
    def of(cls, words: Iterable[Sequence[str]]) -> CodeLists:
        """Encode the words of each post, in order."""
        number: dict[str, int] = {}
        return cls([], *_NOTHING).followed_by_words(words, number)

    def followed_by(self, more: CodeLists) -> CodeLists:
        """These rows and then those of `more`."""
        return self.followed_by_words((more[row] for row in range(len(more))), dict(self._number))

    def followed_by_words(self, words: Iterable[Sequence[str]], number: dict[str, int]) -> CodeLists:
        """These rows and then those with the words; `number` has the code of each word here and takes new ones."""
        codes, ends, end = [], [], len(self.codes)
        for those in words:
            codes += [number.setdefault(word, len(number)) for word in those]
            end += len(those)
            ends.append(end)
        return CodeLists(
            list(number),
            np.concatenate([self.codes, np.asarray(codes, np.int32)]),
            np.concatenate([self.ends, np.asarray(ends, np.int32)]),
        )

    @classmethod
    def of_arrow(cls, values: list[str], lists: pa.ChunkedArray) -> CodeLists:
        """What `as_arrow` gave, without a copy."""
        if not lists.num_chunks:
            return cls(values, *_NOTHING)
        offsets = lists.chunk(0).offsets.to_numpy()
        return cls(values, lists.chunk(0).values.to_numpy(), offsets[1:])

    def as_arrow(self) -> pa.ListArray:
        """Codes in lists, (posts,)."""
        offsets = np.concatenate([[0], self.ends]).astype(np.int32)
        return pa.ListArray.from_arrays(pa.array(offsets), pa.array(self.codes))

    @cached_property
    def _number(self) -> dict[str, int]:
        return {word: code for code, word in enumerate(self.values)}

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, row: int) -> tuple[str, ...]:
        first = self.ends[row - 1] if row else 0
        return tuple([self.values[code] for code in self.codes[first : self.ends[row]].tolist()])

    def mask(self, wanted: Iterable[str]) -> NDArray[np.bool_]:
        """Which rows carry one of the wanted words, (posts,) bool."""
        carrying = np.zeros(len(self), bool)
        for word in wanted:
            if word in self._number:
                places = np.flatnonzero(self.codes == self._number[word])
                carrying[np.searchsorted(self.ends, places, side="right")] = True
        return carrying
