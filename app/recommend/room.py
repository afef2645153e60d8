"""A page being filled: who may still join. Near copies of a picture come once, an author or a category so often."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np

from app.candidates.codes import NO_CODE
from app.candidates.columns import NO_PRINT
from app.candidates.view import CandidateView

# Of 63 bits. A picture encoded again differs by up to 2, a resized or slightly cut one by up to 12: but so do some
# different pictures, which the vector then tells apart.
COPY_BITS = 2
LIKELY_COPY_BITS = 10
LIKELY_COPY_COSINE = 0.9


class Room:
    """The posts on one page so far, and whether another may join them."""

    def __init__(
        self, view: CandidateView, *, author_posts_at_most: int | None = None, category_posts_at_most: int | None = None
    ) -> None:
        self._view = view
        self._columns = view.columns
        self._at_most = (author_posts_at_most, category_posts_at_most)
        self._of_author: Counter[int] = Counter()
        self._of_category: Counter[int] = Counter()
        self._shown: list[tuple[int, int]] = []  # print and row of the posts on the page that have a print
        self.copies = 0  # posts turned away because a near copy of their picture is on the page
        self.over_limit = 0  # posts turned away because their author or category has its share

    def takes(self, row: int) -> bool:
        """Put the post on the page, if it may join it; false when it may not."""
        if self._has_copy(row):
            self.copies += 1
            return False
        if self._is_over_limit(row):
            self.over_limit += 1
            return False
        picture_print = int(self._columns.picture_prints[row])
        if picture_print != NO_PRINT:
            self._shown.append((picture_print, row))
        if self._at_most != (None, None):
            self._of_author[int(self._columns.author.codes[row])] += 1
            self._of_category[int(self._columns.category.codes[row])] += 1
        return True

    def admitted(self, rows: Sequence[int]) -> list[int]:
        """Those of many posts that may join the page, without putting them there."""
        prints = self._columns.picture_prints[rows]
        shown = np.asarray([one for one, _ in self._shown], prints.dtype)
        doubtful = (np.bitwise_count(prints[:, None] ^ shown) <= LIKELY_COPY_BITS).any(axis=1).tolist()
        return [
            row
            for row, is_doubtful in zip(rows, doubtful, strict=True)
            if not (is_doubtful and self._has_copy(row)) and not self._is_over_limit(row)
        ]

    def _has_copy(self, row: int) -> bool:
        picture_print = int(self._columns.picture_prints[row])
        if picture_print == NO_PRINT:
            return False
        for other_print, other in self._shown:
            bits = (picture_print ^ other_print).bit_count()
            if bits <= LIKELY_COPY_BITS and (bits <= COPY_BITS or self._cosine(row, other) >= LIKELY_COPY_COSINE):
                return True
        return False

    def _cosine(self, row: int, other: int) -> float:
        return float(self._view.vectors[row] @ self._view.vectors[other])

    def _is_over_limit(self, row: int) -> bool:
        of_author, of_category = self._at_most
        if of_author is not None:
            author = int(self._columns.author.codes[row])
            if author != NO_CODE and self._of_author[author] >= of_author:
                return True
        if of_category is not None:
            category = int(self._columns.category.codes[row])
            if category != NO_CODE and self._of_category[category] >= of_category:
                return True
        return False
