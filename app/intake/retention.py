"""The wanted ages of things -> older events, rejected items, rejects files and entries of the audit, deleted."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from app.errors import Unavailable
from app.intake.freshness import log_grown
from app.storage.audit import trim_audit
from app.storage.dead_letters import trim_letters
from app.storage.retention import delete_events
from app.storage.stores import Stores

DAY_SECONDS = 86_400.0


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
    events = files = 0
    if settings.retention_days is not None:
        before = datetime.now(UTC) - timedelta(days=settings.retention_days)
        async for users in delete_events(stores.database, before=before):
            events += len(users)
            await log_grown(stores, set(users))
        files = await asyncio.to_thread(_delete_files, settings.rejects, settings.retention_days)
    return Tidied(
        events=events,
        files=files,
        letters=await trim_letters(stores.database, kept=settings.dead_letters_kept, days=settings.dead_letters_days),
        audit_entries=await trim_audit(stores.database, days=settings.audit_days),
    )


def _delete_files(folder: Path, days: int) -> int:
    """Delete rejects files last written longer ago; how many."""
    oldest = time.time() - days * DAY_SECONDS
    try:
        old = [file for file in folder.glob("*.rejects.jsonl") if file.stat().st_mtime < oldest]
        for file in old:
            file.unlink(missing_ok=True)
    except OSError as problem:
        raise Unavailable(f"cannot delete old files in {folder}: {problem.strerror}") from None
    return len(old)
