"""Items that could not be taken in <-> the table of dead letters: what, why, from whom, how often. Bounded."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

import orjson
from sqlalchemy import RowMapping, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.storage.erased import ErasedUsers
from app.storage.events import SHARE_LOG
from app.storage.mentions import mentions_of
from app.storage.postgres import transaction

LETTERS_LOCK = 0x7475_7765_6E05  # one writer at a time: writing also makes room
ITEM_BYTES_AT_MOST = 64 << 10  # of a larger one only the reason is kept
NOT_KEPT = "; and the item is nested too deeply to be kept"

_COLUMNS = "letter_id, kind, item, reason, source, tries, first_at, last_at"
# (S608: only constants of this file are put together; values travel as parameters.)
_LOCK = text("SELECT pg_advisory_xact_lock(:lock)").bindparams(lock=LETTERS_LOCK)
_KEEP = text("""
    INSERT INTO dead_letters AS d (digest, kind, item, reason, source)
    SELECT digest, kind, item, reason, source
    FROM json_to_recordset(CAST(:rows AS json)) AS i (digest text, kind text, item text, reason text, source text)
    ON CONFLICT (digest) DO UPDATE
    SET tries = d.tries + 1, reason = excluded.reason, source = excluded.source, last_at = clock_timestamp()""")
_MAKE_ROOM = text("""
    DELETE FROM dead_letters WHERE last_at < clock_timestamp() - make_interval(days => :days) OR letter_id <= (
        SELECT letter_id FROM dead_letters ORDER BY letter_id DESC OFFSET :kept LIMIT 1)""")
_PAGE = text(f"""
    SELECT {_COLUMNS} FROM dead_letters
    WHERE letter_id < :before AND (CAST(:kind AS text) IS NULL OR kind = :kind)
    ORDER BY letter_id DESC LIMIT :limit""")  # noqa: S608
_BY_ID = text(f"SELECT {_COLUMNS} FROM dead_letters WHERE letter_id = ANY(:ids) ORDER BY letter_id")  # noqa: S608
_OLDEST = text(f"""
    SELECT {_COLUMNS} FROM dead_letters WHERE item IS NOT NULL AND letter_id > :after
    ORDER BY letter_id LIMIT :limit""")  # noqa: S608
_DROP = text("DELETE FROM dead_letters WHERE letter_id = ANY(:ids)")
_DROP_ALL = text("DELETE FROM dead_letters")
_COUNT = text("SELECT count(*) FROM dead_letters")
_FAILED_AGAIN = text("""
    UPDATE dead_letters d SET tries = d.tries + 1, reason = i.reason, last_at = clock_timestamp()
    FROM json_to_recordset(CAST(:rows AS json)) AS i (letter_id bigint, reason text)
    WHERE d.letter_id = i.letter_id""")
# `item` was written by orjson, and so is what is looked for: whether it stands there by itself has still to be seen.
_LIKELY = text(f"SELECT {_COLUMNS} FROM dead_letters WHERE strpos(item, :escaped) > 0 ORDER BY letter_id")  # noqa: S608
_ADOPT = text("""
    UPDATE dead_letters d SET item = i.item, digest = i.digest
    FROM json_to_recordset(CAST(:rows AS json)) AS i (letter_id bigint, digest text, item text)
    WHERE d.letter_id = i.letter_id AND NOT EXISTS (SELECT FROM dead_letters o WHERE o.digest = i.digest)
    RETURNING d.letter_id""")

NEWEST = (1 << 63) - 1


@dataclass(frozen=True, slots=True)
class Rejected:
    """An item as it came, parsed, and why it could not be taken in."""

    kind: str  # post, exposure, behaviour
    item: object
    reason: str


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A rejected item as it is kept."""

    letter_id: int
    kind: str
    item: object  # None where it was too large or too deep to be kept
    reason: str
    source: str  # the id of the key with which it came
    tries: int
    first_at: datetime  # UTC, aware
    last_at: datetime  # UTC, aware


async def keep_letters(
    database: AsyncEngine, rejected: Sequence[Rejected], *, source: str, erased: ErasedUsers, kept: int, days: int
) -> None:
    """Keep rejected items; the same item again counts as another try. The oldest beyond `kept` give way.

    Nothing that names an erased person is kept, wherever in the item.
    """
    if not rejected:
        return
    async with transaction(database) as connection:
        await connection.execute(SHARE_LOG)  # so that an erasure under way is before or after, not between
        found = [(row, _mentions(one, row)) for one in rejected for row in (_row(one, source),)]
        gone = await erased.among(connection, set().union(*(mentions for _, mentions in found)))
        rows = {row["digest"]: row for row, mentions in found if mentions.isdisjoint(gone)}
        await connection.execute(_LOCK)
        await connection.execute(_KEEP, {"rows": orjson.dumps(list(rows.values())).decode()})
        await connection.execute(_MAKE_ROOM, {"kept": kept, "days": days})


async def letters_page(
    database: AsyncEngine, *, limit: int, before: int = NEWEST, kind: str | None = None
) -> list[DeadLetter]:
    """The latest letters, latest first; `before` is the last id of the page before."""
    async with transaction(database) as connection:
        rows = await connection.execute(_PAGE, {"before": before, "kind": kind, "limit": limit})
        return [_letter_of(row) for row in rows.mappings()]


async def letters_by_id(database: AsyncEngine, letter_ids: Collection[int]) -> list[DeadLetter]:
    """Those of the letters that are there, oldest first."""
    async with transaction(database) as connection:
        rows = await connection.execute(_BY_ID, {"ids": list(letter_ids)})
        return [_letter_of(row) for row in rows.mappings()]


async def oldest_letters(database: AsyncEngine, *, after: int, limit: int) -> list[DeadLetter]:
    """Letters that can be tried again, oldest first, beyond an id."""
    async with transaction(database) as connection:
        rows = await connection.execute(_OLDEST, {"after": after, "limit": limit})
        return [_letter_of(row) for row in rows.mappings()]


async def trim_letters(database: AsyncEngine, *, kept: int, days: int) -> int:
    """Delete letters that are too old or too many; how many there were."""
    async with transaction(database) as connection:
        await connection.execute(_LOCK)
        return (await connection.execute(_MAKE_ROOM, {"kept": kept, "days": days})).rowcount


async def drop_letters(database: AsyncEngine, letter_ids: Collection[int] | None) -> int:
    """Delete these letters, or all with None; how many there were."""
    async with transaction(database) as connection:
        await connection.execute(_LOCK)
        if letter_ids is None:
            return (await connection.execute(_DROP_ALL)).rowcount
        return (await connection.execute(_DROP, {"ids": list(letter_ids)})).rowcount


async def failed_again(database: AsyncEngine, reasons: dict[int, str]) -> None:
    """Count another try of letters, with the reason of this time."""
    rows = [{"letter_id": letter_id, "reason": reason} for letter_id, reason in reasons.items()]
    async with transaction(database) as connection:
        await connection.execute(_LOCK)
        await connection.execute(_FAILED_AGAIN, {"rows": orjson.dumps(rows).decode()})


async def count_letters(database: AsyncEngine) -> int:
    """How many there are."""
    async with transaction(database) as connection:
        return int(await connection.scalar(_COUNT) or 0)


async def erase_letters(connection: AsyncConnection, user_id: str) -> int:
    """Delete every letter that names a person, wherever in the item; how many there were."""
    await connection.execute(_LOCK)
    named = await letters_naming(connection, user_id)
    return (await connection.execute(_DROP, {"ids": [one.letter_id for one in named]})).rowcount


async def adopt_letters(connection: AsyncConnection, user_id: str, *, former_id: str) -> int:
    """Let letters of what a former id did be the user's; how many there were. One that he has too is there once."""
    await connection.execute(_LOCK)
    rows: dict[str, dict[str, object]] = {}
    own: set[int] = set()
    for one in await letters_naming(connection, former_id):
        if isinstance(one.item, dict) and former_id in mentions_of(one.item.get("user_id")):
            item = orjson.dumps({**one.item, "user_id": user_id})
            digest = _digest(one.kind, item)
            rows[digest] = {"letter_id": one.letter_id, "digest": digest, "item": item.decode()}
            own.add(one.letter_id)
    adopted = await connection.scalars(_ADOPT, {"rows": orjson.dumps(list(rows.values())).decode()})
    await connection.execute(_DROP, {"ids": list(own.difference(adopted))})
    return len(own)


async def letters_naming(connection: AsyncConnection, user_id: str) -> list[DeadLetter]:
    """The letters that name a person anywhere, oldest first."""
    escaped = orjson.dumps(user_id)[1:-1].decode()
    rows = await connection.execute(_LIKELY, {"escaped": escaped})
    letters = [_letter_of(row) for row in rows.mappings()]
    return [one for one in letters if user_id in mentions_of(one.item)]


def _row(rejected: Rejected, source: str) -> dict[str, object]:
    """A row of the table. Of an item that could not be given out again only its plain values are told apart."""
    item, kept, reason = rejected.item, None, rejected.reason
    try:
        orjson.dumps([[[[item]]]])  # deeper than it stands in any answer
        content = orjson.dumps(item)
        if len(content) <= ITEM_BYTES_AT_MOST:
            kept = content.decode()
    except (TypeError, ValueError):
        values = item.items() if isinstance(item, dict) else ()
        content = json.dumps([one for one in values if isinstance(one[1], str | float)]).encode()
        reason += NOT_KEPT
    digest = _digest(rejected.kind, content)
    return {"digest": digest, "kind": rejected.kind, "item": kept, "reason": reason, "source": source}


def _digest(kind: str, item: bytes) -> str:
    return sha256(kind.encode() + b"\0" + item).hexdigest()


def _mentions(rejected: Rejected, row: dict[str, object]) -> set[str]:
    """Whom what is kept of the item may name."""
    return set() if row["item"] is None else mentions_of(rejected.item)


def _letter_of(row: RowMapping) -> DeadLetter:
    item = None if row["item"] is None else orjson.loads(row["item"])
    return DeadLetter(**{**row, "item": item})
