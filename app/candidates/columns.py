"""Posts -> columns: what serving must know of each candidate, aligned by row; written and read as one Parquet file."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from app.candidates.facets import attribute_words
from app.domain import Post

NO_CODE = -1
NO_PRINT = 0


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
class PostColumns:
    """What serving needs to know of each candidate; row i of every column is the same post."""

    post_ids: list[str]
    titles: list[str]
    picture_hashes: list[str | None]
    category: Codes
    city: Codes
    author: Codes
    tags: list[tuple[str, ...]]
    attributes: list[tuple[str, ...]]  # as words, see app/candidates/facets.py
    picture_prints: NDArray[np.uint64]  # (posts,) perceptual hashes, NO_PRINT where a picture has none
    latitude: NDArray[np.float32]  # (posts,) degrees north, NaN = unknown
    longitude: NDArray[np.float32]  # (posts,) degrees east, NaN = unknown
    published_at: NDArray[np.float64]  # (posts,) unix seconds, NaN = unknown
    expires_at: NDArray[np.float64]  # (posts,) unix seconds, inf = never

    def __len__(self) -> int:
        return len(self.post_ids)

    @cached_property
    def tag_rows(self) -> dict[str, NDArray[np.int64]]:
        """Tag -> the rows that carry it."""
        return _rows_by_word(self.tags)

    @cached_property
    def attribute_rows(self) -> dict[str, NDArray[np.int64]]:
        """Word of an attribute -> the rows that carry it."""
        return _rows_by_word(self.attributes)

    @classmethod
    def of(cls, posts: Sequence[Post]) -> PostColumns:
        """Columns of the posts, in their order."""
        return cls(
            post_ids=[post.post_id for post in posts],
            titles=[post.title for post in posts],
            picture_hashes=[post.picture_hash for post in posts],
            category=Codes.of(post.category for post in posts),
            city=Codes.of(post.city for post in posts),
            author=Codes.of(post.author_id for post in posts),
            tags=[post.tags for post in posts],
            attributes=[attribute_words(post.attributes) for post in posts],
            picture_prints=np.asarray([_print(post.picture_print) for post in posts], np.uint64),
            latitude=np.asarray([_number(post.latitude) for post in posts], dtype=np.float32),
            longitude=np.asarray([_number(post.longitude) for post in posts], dtype=np.float32),
            published_at=np.asarray([_seconds(post.published_at, math.nan) for post in posts], dtype=np.float64),
            expires_at=np.asarray([_seconds(post.expires_at, math.inf) for post in posts], dtype=np.float64),
        )

    def row(self, row: int) -> tuple[object, ...]:
        """All that one row says, comparable."""
        numbers = (self.latitude[row], self.longitude[row], self.published_at[row], self.expires_at[row])
        words = (self.category.word(row), self.city.word(row), self.author.word(row), self.tags[row])
        looks = (self.attributes[row], int(self.picture_prints[row]))
        shown = (None if math.isnan(number) else float(number) for number in numbers)
        return (self.post_ids[row], self.titles[row], self.picture_hashes[row], *words, *looks, *shown)

    def followed_by(self, more: PostColumns) -> PostColumns:
        """These rows and then those of `more`."""
        if not len(more):
            return self
        return PostColumns(
            post_ids=self.post_ids + more.post_ids,
            titles=self.titles + more.titles,
            picture_hashes=self.picture_hashes + more.picture_hashes,
            category=self.category.followed_by(more.category),
            city=self.city.followed_by(more.city),
            author=self.author.followed_by(more.author),
            tags=self.tags + more.tags,
            attributes=self.attributes + more.attributes,
            picture_prints=np.concatenate([self.picture_prints, more.picture_prints]),
            latitude=np.concatenate([self.latitude, more.latitude]),
            longitude=np.concatenate([self.longitude, more.longitude]),
            published_at=np.concatenate([self.published_at, more.published_at]),
            expires_at=np.concatenate([self.expires_at, more.expires_at]),
        )


def _rows_by_word(words: Iterable[Iterable[str]]) -> dict[str, NDArray[np.int64]]:
    rows: dict[str, list[int]] = {}
    for row, those in enumerate(words):
        for word in those:
            rows.setdefault(word, []).append(row)
    return {word: np.asarray(found, np.int64) for word, found in rows.items()}


def _print(value: int | None) -> int:
    return NO_PRINT if value is None else value


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _seconds(moment: datetime | None, otherwise: float) -> float:
    return otherwise if moment is None else moment.timestamp()


def write_columns(columns: PostColumns, hidden: NDArray[np.bool_], file: Path) -> None:
    """Write the columns and which posts are hidden, (posts,); the caller moves the finished folder into place."""
    table = pa.table(
        {
            "post_id": pa.array(columns.post_ids, pa.string()),
            "title": pa.array(columns.titles, pa.string()),
            "picture_hash": pa.array(columns.picture_hashes, pa.string()),
            "category": pa.array(columns.category.words(), pa.string()),
            "city": pa.array(columns.city.words(), pa.string()),
            "author_id": pa.array(columns.author.words(), pa.string()),
            "tags": pa.array([list(tags) for tags in columns.tags], pa.list_(pa.string())),
            "attributes": pa.array([list(words) for words in columns.attributes], pa.list_(pa.string())),
            "picture_print": columns.picture_prints,
            "latitude": columns.latitude,
            "longitude": columns.longitude,
            "published_at": columns.published_at,
            "expires_at": columns.expires_at,
            "hidden": hidden,
        }
    )
    pq.write_table(table, file)


def read_columns(file: Path) -> tuple[PostColumns, NDArray[np.bool_]]:
    """Read what `write_columns` wrote."""
    table = _completed(pq.read_table(file))
    column = {name: table.column(name) for name in table.column_names}
    hidden = column["hidden"].to_numpy()
    columns = PostColumns(
        post_ids=column["post_id"].to_pylist(),
        titles=column["title"].to_pylist(),
        picture_hashes=column["picture_hash"].to_pylist(),
        category=Codes.of(column["category"].to_pylist()),
        city=Codes.of(column["city"].to_pylist()),
        author=Codes.of(column["author_id"].to_pylist()),
        tags=[tuple(tags) for tags in column["tags"].to_pylist()],
        attributes=[tuple(words) for words in column["attributes"].to_pylist()],
        picture_prints=column["picture_print"].to_numpy(),
        latitude=column["latitude"].to_numpy(),
        longitude=column["longitude"].to_numpy(),
        published_at=column["published_at"].to_numpy(),
        expires_at=column["expires_at"].to_numpy(),
    )
    return columns, hidden


def _completed(table: pa.Table) -> pa.Table:
    """A generation of an earlier version lacks the later columns; it can still be promoted."""
    if "attributes" not in table.column_names:
        table = table.append_column("attributes", pa.array([[]] * len(table), pa.list_(pa.string())))
        table = table.append_column("picture_print", pa.array([NO_PRINT] * len(table), pa.uint64()))
    return table
