"""Raw values -> checked field types of the records: ids, words, titles, moments, attributes."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime
from typing import Annotated, Any

import orjson
from pydantic import ConfigDict, Field, PlainValidator, StringConstraints, WithJsonSchema
from pydantic_core import PydanticCustomError

ID_CHARACTERS = 128
WORD_CHARACTERS = 200
TITLE_CHARACTERS = 1000
TAGS = 100
ATTRIBUTES_BYTES = 16 << 10
ATTRIBUTES_DEPTH = 20
LARGEST_NUMBER = 1 << 63
RECORD = ConfigDict(strict=True, frozen=True, extra="ignore")
FIRST_MILLISECOND_LIKE = 100_000_000_000  # seconds: the year 5138; as milliseconds: 1973

_UNIX_SECONDS = re.compile(r"-?\d{1,16}(\.\d+)?", re.ASCII)
_MOMENT_SCHEMA = {
    "anyOf": [{"type": "string", "format": "date-time"}, {"type": "number"}],
    "description": "RFC 3339 with an offset, or Unix seconds",
}


def parse_moment(value: object) -> datetime:
    """RFC 3339 with an offset, or Unix seconds as a number or its digits -> UTC, aware."""
    if isinstance(value, str):
        moment = _from_text(value)
    elif isinstance(value, datetime):
        moment = value
    elif isinstance(value, int | float) and not isinstance(value, bool):
        return _from_seconds(value)
    else:
        raise _bad("must be a time: RFC 3339 with an offset, or Unix seconds")
    if moment.tzinfo is None:
        raise _bad("has no offset: write 2025-06-01T08:00:00+08:00, or …Z for UTC, or Unix seconds")
    try:
        return moment.astimezone(UTC)
    except OverflowError:
        raise _bad("lies outside the years 1 to 9999") from None


def _from_text(value: str) -> datetime:
    try:
        if value[4:5] == "-":
            return datetime.fromisoformat(value)
        if _UNIX_SECONDS.fullmatch(value):
            return _from_seconds(float(value))
    except ValueError:
        if value[-1:] == "z":  # RFC 3339 allows small letters
            return _from_text(value[:-1] + "Z")
    raise _bad("is not a time: write RFC 3339 with an offset, e.g. 2025-06-01T08:00:00+08:00, or Unix seconds")


def _from_seconds(seconds: float) -> datetime:
    if not math.isfinite(seconds):
        raise _bad("must be a finite number of Unix seconds")
    if abs(seconds) >= FIRST_MILLISECOND_LIKE:
        raise _bad("is too large for Unix seconds: it looks like milliseconds, divide by 1000")
    try:
        return datetime.fromtimestamp(seconds, UTC)
    except (OverflowError, ValueError, OSError):
        raise _bad("lies outside the years 1 to 9999") from None


def check_attributes(value: object) -> dict[str, Any]:
    """A JSON object that PostgreSQL keeps and gives back as it was, of modest size."""
    if not isinstance(value, dict):
        raise _bad("must be an object of names and values")
    flaw = _flaw(value, ATTRIBUTES_DEPTH)
    if flaw is not None:
        raise _bad(flaw)
    try:
        text = orjson.dumps(value)
    except (TypeError, ValueError):
        raise _bad("holds text that is not Unicode") from None
    if len(text) > ATTRIBUTES_BYTES:
        raise _bad(f"must not be larger than {ATTRIBUTES_BYTES >> 10} kB")
    return value


def _flaw(value: object, levels: int) -> str | None:
    """What PostgreSQL or a JSON reader could not take, if anything."""
    if isinstance(value, str):
        return "must not contain NUL characters" if "\0" in value else None
    if isinstance(value, dict | list):
        if levels == 0:
            return f"must not be nested deeper than {ATTRIBUTES_DEPTH}"
        parts = [*value, *value.values()] if isinstance(value, dict) else value
        return next((flaw for part in parts if (flaw := _flaw(part, levels - 1)) is not None), None)
    if isinstance(value, int | float):
        # Also refuses NaN. A float beyond would come back from PostgreSQL as a whole number of more than 64 bits.
        return None if abs(value) < LARGEST_NUMBER else "holds NaN or a number of more than 64 bits"
    return None if value is None else "holds what JSON has no form for"


def _bad(message: str) -> PydanticCustomError:
    return PydanticCustomError("unusable", message)


Id = Annotated[str, StringConstraints(min_length=1, max_length=ID_CHARACTERS, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$")]
# Empty stands for "not given": spreadsheets and many clients write it so.
Word = Annotated[str, StringConstraints(max_length=WORD_CHARACTERS, pattern=r"^[^\x00-\x1f\x7f-\x9f]*$")]
Tag = Annotated[str, StringConstraints(min_length=1, max_length=WORD_CHARACTERS, pattern=r"^[^\x00-\x1f\x7f-\x9f]+$")]
Title = Annotated[
    str, StringConstraints(min_length=1, max_length=TITLE_CHARACTERS, pattern=r"^[^\x00]*[^\x00\s][^\x00]*$")
]
Latitude = Annotated[float, Field(ge=-90, le=90, allow_inf_nan=False)]
Longitude = Annotated[float, Field(ge=-180, le=180, allow_inf_nan=False)]
Position = Annotated[int, Field(ge=0, lt=1 << 31)]
Moment = Annotated[datetime, PlainValidator(parse_moment), WithJsonSchema(_MOMENT_SCHEMA)]
Attributes = Annotated[dict[str, Any], PlainValidator(check_attributes), WithJsonSchema({"type": "object"})]
