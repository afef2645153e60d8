"""Posts -> columns: what serving must know of each candidate, aligned by row; written to one Arrow file and mapped."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from app.candidates.codes import CodeLists, Codes
from app.candidates.facets import attribute_words
from app.candidates.post_rows import PostRows, hashed_rows
from app.candidates.texts import Texts
from app.domain import Post

NO_PRINT = 0


@dataclass(frozen=True)
class PostColumns:
    """What serving needs to know of each candidate; row i of every column is the same post."""

    post_ids: Texts[str]
    titles: Texts[str]
    picture_hashes: Texts[str | None]
    category: Codes
    city: Codes
    author: Codes
    tags: CodeLists
    attributes: CodeLists  # as words, see app/candidates/facets.py
    picture_prints: NDArray[np.uint64]  # (posts,) perceptual hashes, NO_PRINT where a picture has none
    latitude: NDArray[np.float32]  # (posts,) degrees north, NaN = unknown
    longitude: NDArray[np.float32]  # (posts,) degrees east, NaN = unknown
    published_at: NDArray[np.float64]  # (posts,) unix seconds, NaN = unknown
    expires_at: NDArray[np.float64]  # (posts,) unix seconds, inf = never

    def __len__(self) -> int:
        return len(self.post_ids)

    @classmethod
    def of(cls, posts: Sequence[Post]) -> PostColumns:
        """Columns of the posts, in their order."""
        return cls(
            post_ids=Texts.of(post.post_id for post in posts),
            titles=Texts.of(post.title for post in posts),
            picture_hashes=Texts.of(post.picture_hash for post in posts),
            category=Codes.of(post.category for post in posts),
            city=Codes.of(post.city for post in posts),
            author=Codes.of(post.author_id for post in posts),
            tags=CodeLists.of(post.tags for post in posts),
            attributes=CodeLists.of(attribute_words(post.attributes) for post in posts),
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
            post_ids=self.post_ids.followed_by(more.post_ids),
            titles=self.titles.followed_by(more.titles),
            picture_hashes=self.picture_hashes.followed_by(more.picture_hashes),
            category=self.category.followed_by(more.category),
            city=self.city.followed_by(more.city),
            author=self.author.followed_by(more.author),
            tags=self.tags.followed_by(more.tags),
            attributes=self.attributes.followed_by(more.attributes),
            picture_prints=np.concatenate([self.picture_prints, more.picture_prints]),
            latitude=np.concatenate([self.latitude, more.latitude]),
            longitude=np.concatenate([self.longitude, more.longitude]),
            published_at=np.concatenate([self.published_at, more.published_at]),
            expires_at=np.concatenate([self.expires_at, more.expires_at]),
        )


def _print(value: int | None) -> int:
    return NO_PRINT if value is None else value


def _number(value: float | None) -> float:
    return math.nan if value is None else value


def _seconds(moment: datetime | None, otherwise: float) -> float:
    return otherwise if moment is None else moment.timestamp()


@dataclass(frozen=True)
class ColumnFile:
    """What a file of columns holds: the columns, which posts are hidden, and the rows by id and by age."""

    columns: PostColumns
    hidden: NDArray[np.bool_]  # (posts,)
    row_of: PostRows
    latest_first: NDArray[np.int32]  # (posts,) rows, latest published first; those without a time last


def write_columns(columns: PostColumns, hidden: NDArray[np.bool_], file: Path) -> None:
    """Write the columns and which posts are hidden, (posts,); the caller moves the finished folder into place."""
    hashes, rows = hashed_rows(columns.post_ids)
    words = {name: getattr(columns, name) for name in ("category", "city", "author", "tags", "attributes")}
    table = pa.table(
        {
            "post_id": columns.post_ids.array,
            "title": columns.titles.array,
            "picture_hash": columns.picture_hashes.array,
            "category": columns.category.codes,
            "city": columns.city.codes,
            "author": columns.author.codes,
            "tags": columns.tags.as_arrow(),
            "attributes": columns.attributes.as_arrow(),
            "picture_print": columns.picture_prints,
            "latitude": columns.latitude,
            "longitude": columns.longitude,
            "published_at": columns.published_at,
            "expires_at": columns.expires_at,
            "hidden": hidden.astype(np.uint8),
            "id_hash": hashes,
            "id_row": rows,
            "latest_first": latest_first(columns.published_at).astype(np.int32),
        }
    )
    values = {name: json.dumps(column.values) for name, column in words.items()}
    table = table.combine_chunks().replace_schema_metadata(values)
    with pa.OSFile(str(file), "wb") as out, pa.ipc.new_file(out, table.schema) as writer:
        writer.write_table(table)


def read_columns(file: Path) -> ColumnFile:
    """Map what `write_columns` wrote; the file must not change meanwhile. Raises OSError, ValueError."""
    with pa.memory_map(str(file)) as source:
        table = pa.ipc.open_file(source).read_all()
    values = {name.decode(): json.loads(words) for name, words in (table.schema.metadata or {}).items()}

    def texts(name: str) -> Texts[Any]:
        return Texts(table.column(name))

    def numbers(name: str) -> NDArray[Any]:
        return numbers_of(table.column(name))

    columns = PostColumns(
        post_ids=texts("post_id"),
        titles=texts("title"),
        picture_hashes=texts("picture_hash"),
        category=Codes(values["category"], numbers("category")),
        city=Codes(values["city"], numbers("city")),
        author=Codes(values["author"], numbers("author")),
        tags=CodeLists.of_arrow(values["tags"], table.column("tags")),
        attributes=CodeLists.of_arrow(values["attributes"], table.column("attributes")),
        picture_prints=numbers("picture_print"),
        latitude=numbers("latitude"),
        longitude=numbers("longitude"),
        published_at=numbers("published_at"),
        expires_at=numbers("expires_at"),
    )
    row_of = PostRows(columns.post_ids, numbers("id_hash"), numbers("id_row"))
    return ColumnFile(columns, numbers("hidden").astype(bool), row_of, numbers("latest_first"))


def latest_first(published_at: NDArray[np.float64]) -> NDArray[np.int64]:
    """Rows (posts,) by publishing time (posts,), latest first; those without one (NaN) last."""
    return np.argsort(np.where(np.isnan(published_at), np.inf, -published_at), kind="stable")


def numbers_of(column: pa.ChunkedArray) -> NDArray[Any]:
    """The numbers of a column as they lie in the file, without a copy, (posts,)."""
    return np.asarray(column.chunk(0).to_numpy(zero_copy_only=True)) if column.num_chunks else _empty(column.type)


def _empty(kind: pa.DataType) -> NDArray[Any]:
    return np.zeros(0, kind.to_pandas_dtype())
