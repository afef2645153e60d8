"""Raw items of a batch -> checked records and one status per item; a bad item never takes the others with it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from pydantic import BaseModel, ValidationError

Record = TypeVar("Record", bound=BaseModel)

ACCEPTED: Literal["accepted"] = "accepted"
DUPLICATE: Literal["duplicate"] = "duplicate"
REJECTED: Literal["rejected"] = "rejected"
ERASED = "user_id: this person was erased, and nothing of theirs is taken in any more"

# What pydantic says in words of its own trade, said for the person who sends the data.
_WORDS = {
    "missing": "is missing",
    "string_type": "must be a string; write numbers in quotes",
    "string_unicode": "is not valid Unicode text",
    "string_pattern_mismatch": "must not be blank or contain control characters",
    "string_too_short": "must not be empty",
    "list_type": "must be a list",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "dict_type": "must be an object",
}
_JSON_PLACE = re.compile(r" at line \d+ column \d+$")


@dataclass(frozen=True, slots=True)
class ItemStatus:
    """What became of one item. `reason` says why it was rejected, or what was changed about an accepted one."""

    index: int  # in the batch, from 0
    id: str | None
    status: Literal["accepted", "duplicate", "rejected"]
    reason: str | None = None


def reason_of(error: ValidationError) -> str:
    """The first thing wrong with a record: where and what, never the value itself."""
    first = error.errors(include_input=False, include_url=False, include_context=False)[0]
    if first["type"] == "json_invalid":
        return "is not JSON: " + _JSON_PLACE.sub("", first["msg"].removeprefix("Invalid JSON: "))
    words = _WORDS.get(first["type"]) or first["msg"].removeprefix("Value error, ").removeprefix("Input ")
    place = ".".join(str(part) for part in first["loc"])
    return f"{place}: {words}" if place else words


async def save_items(
    items: Sequence[object], model: type[Record], save: Callable[[Sequence[Record]], Awaitable[list[ItemStatus]]]
) -> list[ItemStatus]:
    """Check parsed JSON items one by one, save the good ones in one transaction, and give each item its status."""
    statuses: dict[int, ItemStatus] = {}
    records: dict[int, Record] = {}
    for index, item in enumerate(items):
        try:
            records[index] = model.model_validate(item)
        except ValidationError as error:
            statuses[index] = ItemStatus(index, None, REJECTED, reason_of(error))
    saved = await save(list(records.values())) if records else []
    for index, status in zip(records, saved, strict=True):
        statuses[index] = replace(status, index=index)
    return [statuses[index] for index in range(len(items))]


def statuses_of_upsert(
    ids: Sequence[str], changed: frozenset[str], *, erased: frozenset[str] = frozenset()
) -> list[ItemStatus]:
    """One status per record of a batch: accepted where the row is new or changed, duplicate where it was so already."""
    return [
        ItemStatus(index, one, REJECTED, ERASED)
        if one in erased
        else ItemStatus(index, one, ACCEPTED if one in changed else DUPLICATE)
        for index, one in enumerate(ids)
    ]
