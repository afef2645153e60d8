"""Records -> files of each format that an import reads."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from app.intake.fields import parse_moment
from app.intake.report import ImportReport

TIMES = ("shown_at", "published_at", "at")


def json_lines(path: Path, records: list[Any]) -> Path:
    path.write_text("".join(json.dumps(one, ensure_ascii=False) + "\n" for one in records))
    return path


def csv_file(path: Path, records: list[dict[str, Any]]) -> Path:
    """Nested values as JSON text, nothing for what is not there."""
    columns = columns_of(records)
    with path.open("w", newline="") as output:
        writer = csv.writer(output)
        writer.writerow(columns)
        for record in records:
            cells = [record.get(column, "") for column in columns]
            writer.writerow([json.dumps(cell) if isinstance(cell, dict | list) else cell for cell in cells])
    return path


def parquet_file(path: Path, records: list[dict[str, Any]]) -> Path:
    """Nested values as nested types, times as timestamps."""
    columns = columns_of(records)
    pq.write_table(pa.Table.from_pylist([{**dict.fromkeys(columns), **typed(record)} for record in records]), path)
    return path


def columns_of(records: list[dict[str, Any]]) -> list[str]:
    return list({column: None for record in records for column in record})


def typed(record: dict[str, Any]) -> dict[str, Any]:
    return {
        name: parse_moment(value) if name in TIMES else [typed(act) for act in value] if name == "behaviours" else value
        for name, value in record.items()
    }


def rejects(report: ImportReport, kind: str) -> list[tuple[int, str, str]]:
    """Line, reason and raw row of every reject."""
    lines = [json.loads(line) for line in report.rejects_files[kind].read_text().splitlines()]
    return [(line["line"], line["reason"], line["raw"]) for line in lines]
