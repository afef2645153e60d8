"""An import file (JSON Lines, CSV or Parquet) -> its rows one after another; a damaged row does not end the file.

Memory holds a row (of Parquet: a few thousand) however long the file is.
"""

from __future__ import annotations

import csv
import json
from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import orjson
import pyarrow as pa
import pyarrow.parquet as pq

from app.errors import BadInput

LINE_BYTES = 1 << 20
PARQUET_ROWS_AT_ONCE = 2000
BYTE_ORDER_MARK = b"\xef\xbb\xbf"
# Columns that hold something else than text; in CSV, and in text columns of Parquet, it is written as JSON.
JSON_COLUMNS = frozenset(
    {"tags", "attributes", "behaviours", "latitude", "longitude", "position", "hidden", "personalised"}
)


@dataclass(frozen=True, slots=True)
class Row:
    """One row as it stands in the file. Either `content` is there, to be checked, or `problem`."""

    number: int  # line of JSON Lines and CSV (the last one of a row of several), row of Parquet; from 1
    raw: bytes  # what a person needs to mend it
    bytes_done: int  # of the file, this row included
    content: bytes | dict[str, Any] = b""  # JSON text, or parsed
    problem: str | None = None


def rows_of(path: Path, required: frozenset[str]) -> Iterator[Row]:
    """Every row of the file. Raises BadInput for a file that is no such file, or lacks a required column."""
    read = reader_of(path)
    try:
        yield from read(path, required)
    except OSError as problem:
        raise BadInput(f"cannot read {path}: {problem.strerror or 'damaged'}") from None


def reader_of(path: Path) -> Callable[[Path, frozenset[str]], Iterator[Row]]:
    """How to read a file of that name. Raises BadInput when there is no way, or no file."""
    readers = {".jsonl": _json_lines, ".ndjson": _json_lines, ".csv": _csv_rows, ".parquet": _parquet_rows}
    if path.suffix.lower() not in readers:
        raise BadInput(f"cannot tell the format of {path}: name it .jsonl (one JSON object a line), .csv or .parquet")
    if not path.is_file():
        raise BadInput(f"{path} is a folder: name the file in it" if path.is_dir() else f"there is no file {path}")
    return readers[path.suffix.lower()]


class _Lines:
    """The lines of a file as text, for the CSV parser; remembers what it gave out since it was last asked."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self._given: list[bytes] = []
        self._again: deque[bytes] = deque()
        self.number = 0  # of the line given out last, from 1
        self.bytes_done = 0

    def __iter__(self) -> Iterator[str]:
        while line := self._again.popleft() if self._again else self._file.readline(LINE_BYTES):
            if self.bytes_done == 0:
                line = line.removeprefix(BYTE_ORDER_MARK)
            self.number += 1
            self.bytes_done += len(line)
            self._given.append(line)
            # Bytes that are no UTF-8 become lone surrogates, which every field refuses.
            yield line.decode("utf-8", "surrogateescape")

    def take(self) -> bytes:
        """The lines given out since the last time, as they stand in the file."""
        given, self._given = self._given, []
        return b"".join(given).rstrip(b"\r\n")

    def take_first(self) -> bytes:
        """The first of them; the others will be given out once more."""
        first, *others = self._given
        self._again.extendleft(reversed(others))
        self.number -= len(others)
        self.bytes_done -= sum(map(len, others))
        self._given = [first]
        return self.take()


def _json_lines(path: Path, required: frozenset[str]) -> Iterator[Row]:
    with path.open("rb") as file:
        number = bytes_done = 0
        while line := file.readline(LINE_BYTES + 1):
            number += 1
            bytes_done += len(line)
            if number == 1:
                line = line.removeprefix(BYTE_ORDER_MARK)
            if len(line) > LINE_BYTES:
                bytes_done += _skip_line(file, line)
                yield Row(number, line[:1000], bytes_done, problem=f"is longer than {LINE_BYTES >> 20} MiB")
            elif not line.isspace():
                line = line.rstrip(b"\r\n")
                yield Row(number, line, bytes_done, line)


def _skip_line(file: BinaryIO, beginning: bytes) -> int:
    skipped, part = 0, beginning
    while part and not part.endswith(b"\n"):
        part = file.readline(LINE_BYTES)
        skipped += len(part)
    return skipped


def _csv_rows(path: Path, required: frozenset[str]) -> Iterator[Row]:
    with path.open("rb") as file:
        lines = _Lines(file)
        cells = csv.reader(lines, strict=True)
        header = _header(path, cells, required)
        lines.take()
        while True:
            try:
                row = next(cells)
            except StopIteration:
                return
            except csv.Error as problem:
                # A quote that is never closed takes in the rows that follow: only its own line is no row.
                first = lines.take_first()
                yield Row(lines.number, first, lines.bytes_done, problem=f"is not CSV: {problem}")
                continue
            raw = lines.take()
            if row and len(row) != len(header):
                problem_words = f"has {len(row)} cells where the header has {len(header)}"
                yield Row(lines.number, raw, lines.bytes_done, problem=problem_words)
            elif row:
                yield Row(lines.number, raw, lines.bytes_done, _from_cells(header, row))


def _header(path: Path, cells: Iterator[list[str]], required: frozenset[str]) -> list[str]:
    try:
        header = [name.strip() for name in next(cells, [])]
    except csv.Error as problem:
        raise BadInput(f"{path}: the first line is not CSV: {problem}") from None
    if header:
        _check_columns(path, header, required)
    return header


def _from_cells(header: list[str], row: list[str]) -> dict[str, Any]:
    """A row of texts as a record; an empty cell says nothing."""
    return {name: _from_text(name, cell) for name, cell in zip(header, row, strict=True) if cell}


def _from_text(name: str, cell: str) -> object:
    if name not in JSON_COLUMNS:
        return cell
    try:
        return orjson.loads(cell)
    except ValueError:
        return cell  # the check of the field says what is wrong with it


def _parquet_rows(path: Path, required: frozenset[str]) -> Iterator[Row]:
    size = path.stat().st_size
    if size == 0:
        return
    try:
        with pq.ParquetFile(path) as file:
            _check_columns(path, file.schema_arrow.names, required)
            total, number = max(file.metadata.num_rows, 1), 0
            for batch in file.iter_batches(PARQUET_ROWS_AT_ONCE):
                for values in _in_microseconds(batch).to_pylist():
                    number += 1
                    raw = json.dumps(values, default=str, ensure_ascii=False).encode("utf-8", "replace")
                    yield Row(number, raw, size * number // total, _from_parquet(values))
    except pa.ArrowException as problem:
        raise BadInput(f"{path} is damaged or not Parquet: {str(problem).splitlines()[0]}") from None
    except (ValueError, OverflowError):
        raise BadInput(f"{path} holds a time outside the years 1 to 9999; correct it and import again") from None


def _from_parquet(values: dict[str, Any]) -> dict[str, Any]:
    """Typed values as a record: nulls say nothing, texts in columns of JSON are JSON, maps are objects."""
    record = {name: value for name, value in values.items() if value is not None}
    for name in JSON_COLUMNS & record.keys():
        value = record[name]
        if isinstance(value, str):
            record[name] = _from_text(name, value)
        elif name == "position" and isinstance(value, float) and value.is_integer():
            record[name] = int(value)  # a column with gaps comes out of many tools as floats
        elif name == "attributes":
            record[name] = _object(value)
    return record


def _object(value: object) -> object:
    """A struct without its nulls, which stand for absent names; a map, which Arrow gives as pairs, as an object."""
    if isinstance(value, list) and all(isinstance(pair, tuple) for pair in value):
        value = dict(value)
    return {name: part for name, part in value.items() if part is not None} if isinstance(value, dict) else value


def _in_microseconds(batch: pa.RecordBatch) -> pa.Table:
    """The batch with nanosecond times cut to what Python's datetime can hold."""
    table = pa.Table.from_batches([batch])
    return table.cast(pa.schema([field.with_type(_cut(field.type)) for field in table.schema]), safe=False)


def _cut(kind: pa.DataType) -> pa.DataType:
    if pa.types.is_timestamp(kind) and kind.unit == "ns":
        return pa.timestamp("us", kind.tz)
    if pa.types.is_list(kind) or pa.types.is_large_list(kind):
        return pa.list_(kind.value_field.with_type(_cut(kind.value_type)))
    if pa.types.is_struct(kind):
        return pa.struct([field.with_type(_cut(field.type)) for field in kind.fields])
    return kind


def _check_columns(path: Path, columns: list[str], required: frozenset[str]) -> None:
    missing = sorted(required - set(columns))
    if missing:
        raise BadInput(f"{path} has no column {', '.join(missing)}; its columns are {', '.join(columns[:30])}")
    if len(set(columns)) < len(columns):
        raise BadInput(f"{path} has two columns of the same name; rename one")
