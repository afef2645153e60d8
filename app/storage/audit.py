"""Who changed what, and when <-> the table of the audit. Entries are never changed; old ones are deleted by age."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.storage.postgres import transaction

VALUES_BYTES_AT_MOST = 16 << 10  # of `before` and of `after`

_ADD = text("""
    INSERT INTO audit (actor, verb, subject, before, after, request_id)
    VALUES (:actor, :verb, :subject, CAST(:before AS jsonb), CAST(:after AS jsonb), :request_id)""")
_PAGE = text("""
    SELECT entry_id, at, actor, verb, subject, before, after, request_id FROM audit
    WHERE entry_id < :before ORDER BY entry_id DESC LIMIT :limit""")
_TRIM = text("DELETE FROM audit WHERE at < clock_timestamp() - make_interval(days => :days)")

NEWEST = (1 << 63) - 1
COMMAND_LINE = "command line"


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """One change as it is kept."""

    entry_id: int
    at: datetime  # UTC, aware
    actor: str  # the id of a key, whether it came with a request or opened a page's session; or "command line"
    verb: str  # e.g. "PATCH /posts/{post_id}"
    subject: str  # what was changed; a person only by keyed hash
    before: Mapping[str, Any] | None
    after: Mapping[str, Any] | None
    request_id: str | None


@dataclass(frozen=True, slots=True)
class Change:
    """A change that has just been made."""

    actor: str
    verb: str
    subject: str
    before: Mapping[str, Any] | None = None
    after: Mapping[str, Any] | None = None
    request_id: str | None = None


async def write_audit(database: AsyncEngine, change: Change) -> None:
    """Write down a change. Raises Unavailable."""
    async with transaction(database) as connection:
        await add_entry(connection, change)


async def add_entry(connection: AsyncConnection, change: Change) -> None:
    """The same within the transaction that makes the change."""
    await connection.execute(
        _ADD,
        {
            "actor": change.actor,
            "verb": change.verb,
            "subject": change.subject,
            "before": _json(change.before),
            "after": _json(change.after),
            "request_id": change.request_id,
        },
    )


async def audit_page(database: AsyncEngine, *, limit: int, before: int = NEWEST) -> list[AuditEntry]:
    """The latest changes, latest first; `before` is the last id of the page before."""
    async with transaction(database) as connection:
        rows = await connection.execute(_PAGE, {"before": before, "limit": limit})
        return [AuditEntry(**row) for row in rows.mappings()]


async def trim_audit(database: AsyncEngine, *, days: int) -> int:
    """Delete the entries older than that; how many there were."""
    async with transaction(database) as connection:
        return (await connection.execute(_TRIM, {"days": days})).rowcount


def _json(values: Mapping[str, Any] | None) -> str | None:
    if values is None:
        return None
    content = orjson.dumps(values, default=str).decode()
    return content if len(content) <= VALUES_BYTES_AT_MOST else '{"too_large": true}'
