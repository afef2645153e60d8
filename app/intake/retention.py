"""The wanted ages of things -> older events, rejected items, rejects files and entries of the audit, deleted."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from app.intake.freshness import log_grown
from app.intake.rejects import delete_rejects
from app.storage.audit import trim_audit
from app.storage.dead_letters import trim_letters
from app.storage.retention import delete_events
from app.storage.stores import Stores


@dataclass(frozen=True, slots=True)
class Tidied:
    """How much was deleted."""

    events: int = 0
    files: int = 0
    letters: int = 0
    audit_entries: int = 0


async def delete_old(stores: Stores) -> Tidied:
    """Delete whatever is older than the settings want it; of events and rejects files nothing, unless they say so.

    Raises Unavailable; what was deleted by then stays deleted, and the next time does the rest.
    """
    settings = stores.settings
    events, oldest = 0, None
    if settings.retention_days is not None:
        before = datetime.now(UTC) - timedelta(days=settings.retention_days)
        async for users in delete_events(stores.database, before=before):
            events += len(users)
            await log_grown(stores, set(users))
        oldest = before.timestamp()
    return Tidied(
        events=events,
        files=await asyncio.to_thread(delete_rejects, settings.rejects, before=oldest),
        letters=await trim_letters(stores.database, kept=settings.dead_letters_kept, days=settings.dead_letters_days),
        audit_entries=await trim_audit(stores.database, days=settings.audit_days),
    )
