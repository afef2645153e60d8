"""What the commands about rejected items, people and backups do; changes are in the audit, as of the command line."""

from __future__ import annotations

import argparse
import asyncio
import json
from collections import Counter
from pathlib import Path

from app.console import console, table
from app.errors import Unavailable
from app.intake.dead_letters import replay_letters
from app.intake.status import REJECTED
from app.intake.users import erase_user
from app.settings import Settings
from app.storage.audit import COMMAND_LINE, Change, write_audit
from app.storage.backup import Backup, back_up, restore
from app.storage.dead_letters import count_letters, drop_letters, letters_by_id, letters_page, oldest_letters
from app.storage.person import person_document
from app.storage.stores import Stores, open_stores

LISTED = 50
LETTERS_AT_ONCE = 500


async def list_letters(arguments: argparse.Namespace, settings: Settings) -> int:
    """The latest rejected items."""
    async with open_stores(settings) as stores:
        letters = await letters_page(stores.database, limit=LISTED)
        kept = await count_letters(stores.database)
    rows = [
        [str(one.letter_id), one.kind, one.reason, one.source, str(one.tries), f"{one.last_at:%Y-%m-%d %H:%M}"]
        for one in letters
    ]
    table(f"rejected items, the latest of {kept}", ["letter", "kind", "reason", "key", "tries", "last (UTC)"], rows)
    return 0


async def replay(arguments: argparse.Namespace, settings: Settings) -> int:
    """Try rejected items again; 1 when one was rejected again."""
    async with open_stores(settings.for_batch_work()) as stores:
        counts = await _replayed(stores, arguments.letter_id)
        change = Change(COMMAND_LINE, "dead-letters replay", f"{counts.total()} letters", after=dict(counts))
        await write_audit(stores.database, change)
    told = ", ".join(f"{count} {status}" for status, count in counts.items())
    console.print(told or "no letter that could be tried again", highlight=False)
    return 1 if counts[REJECTED] else 0


async def _replayed(stores: Stores, letter_ids: list[int]) -> Counter[str]:
    """Try these letters, or all, page by page."""
    if letter_ids:
        return (await replay_letters(stores, await letters_by_id(stores.database, letter_ids))).counts
    counts: Counter[str] = Counter()
    after = 0
    while letters := await oldest_letters(stores.database, after=after, limit=LETTERS_AT_ONCE):
        replayed = await replay_letters(stores, letters)
        counts.update(replayed.counts)
        after = replayed.last_letter_id or after
    return counts


async def drop(arguments: argparse.Namespace, settings: Settings) -> int:
    """Give up on rejected items."""
    async with open_stores(settings) as stores:
        dropped = await drop_letters(stores.database, arguments.letter_id or None)
        await write_audit(stores.database, Change(COMMAND_LINE, "dead-letters drop", f"{dropped} letters"))
    console.print(f"{dropped} dropped", highlight=False)
    return 0


async def erase(arguments: argparse.Namespace, settings: Settings) -> int:
    """Erase a person and show the receipt."""
    async with open_stores(settings.for_batch_work()) as stores:
        erased = await erase_user(stores, arguments.user, actor=COMMAND_LINE)
    receipt = {"receipt_id": erased.receipt.receipt_id, "erased_at": erased.receipt.erased_at.isoformat()}
    print(json.dumps({**receipt, "deleted": erased.deleted}))
    return 0


async def export_person(arguments: argparse.Namespace, settings: Settings) -> int:
    """Write everything of a person to a file, which is there only when it is whole."""
    file: Path = arguments.file
    unfinished = file.with_name(f".{file.name}.unfinished")
    async with open_stores(settings.for_batch_work()) as stores:
        try:
            with unfinished.open("wb") as output:
                async for piece in person_document(stores.database, arguments.user):
                    output.write(piece)
            unfinished.replace(file)
        except OSError as problem:
            raise Unavailable(f"cannot write {file}: {problem.strerror}") from None
        finally:
            unfinished.unlink(missing_ok=True)
        await write_audit(
            stores.database, Change(COMMAND_LINE, "users export", stores.erased.subject_of(arguments.user))
        )
    console.print(f"written to {file}", markup=False, soft_wrap=True)
    return 0


async def backup(arguments: argparse.Namespace, settings: Settings) -> int:
    """Write all of this installation into a folder."""
    made = await asyncio.to_thread(back_up, settings, arguments.folder)
    _tell_backup(f"written to {arguments.folder}", made)
    return 0


async def restore_backup(arguments: argparse.Namespace, settings: Settings) -> int:
    """Make this empty installation the one that was backed up."""
    made = await asyncio.to_thread(restore, settings, arguments.folder)
    _tell_backup(f"restored as of {made.created_at}", made)
    return 0


def _tell_backup(what: str, made: Backup) -> None:
    generations = f"{len(made.generations)} generations, {made.serving or 'none'} serving"
    console.print(
        f"{what}: {made.dump_bytes} bytes of the database, {made.pictures} pictures, {generations}", markup=False
    )
