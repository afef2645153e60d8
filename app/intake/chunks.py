"""Rows of a file -> checked lines in bounded chunks, read ahead in a thread while the chunk before is being stored."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Generic, TypeVar

from pydantic import BaseModel, ValidationError

from app.intake.rows import Row, rows_of
from app.intake.status import reason_of

CHUNK_BYTES = 16 << 20  # of the file; several times that in memory

Item = TypeVar("Item")
LineOf = TypeVar("LineOf", bound=BaseModel)


@dataclass(frozen=True, slots=True)
class Chunk(Generic[LineOf]):
    """Some rows of a file: the good ones with their lines, in order, and the bad ones with what is wrong."""

    lines: list[LineOf] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)  # one per line
    rejected: list[tuple[Row, str]] = field(default_factory=list)
    bytes_done: int = 0  # of the file


def chunks_of(path: Path, model: type[LineOf], *, rows_at_most: int) -> Iterator[Chunk[LineOf]]:
    """The file in chunks. Raises BadInput for a file that cannot be read."""
    required = frozenset(name for name, column in model.model_fields.items() if column.is_required())
    lines: list[LineOf] = []
    rows: list[Row] = []
    rejected: list[tuple[Row, str]] = []
    began_at = 0
    for row in rows_of(path, required):
        line = _checked(row, model)
        if isinstance(line, str):
            rejected.append((row, line))
        else:
            rows.append(row)
            lines.append(line)
        if len(rows) + len(rejected) >= rows_at_most or row.bytes_done - began_at >= CHUNK_BYTES:
            yield Chunk(lines, rows, rejected, row.bytes_done)
            began_at, lines, rows, rejected = row.bytes_done, [], [], []
    if rows or rejected:
        yield Chunk(lines, rows, rejected, path.stat().st_size)


def _checked(row: Row, model: type[LineOf]) -> LineOf | str:
    """The line of a row, or what is wrong with it."""
    if row.problem is not None:
        return row.problem
    try:
        if isinstance(row.content, bytes):
            return model.model_validate_json(row.content)
        return model.model_validate(row.content)
    except ValidationError as error:
        return reason_of(error)


async def read_ahead(items: Iterator[Item]) -> AsyncGenerator[Item, None]:
    """The same items, none of them None; while one is in use the next is made in a thread."""
    upcoming = asyncio.create_task(asyncio.to_thread(next, items, None))
    try:
        while (item := await upcoming) is not None:
            upcoming = asyncio.create_task(asyncio.to_thread(next, items, None))
            yield item
    finally:
        await asyncio.wait([upcoming])  # a thread cannot be stopped, only waited for
