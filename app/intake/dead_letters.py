"""Dead letters -> another try, by the same way as the first; those that are taken in are letters no more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from app.intake.batches import WAYS, save_batch
from app.intake.status import ACCEPTED, DUPLICATE, ERASED, REJECTED
from app.storage.dead_letters import DeadLetter, drop_letters, failed_again
from app.storage.stores import Stores


@dataclass
class Replayed:
    """What trying letters again came to."""

    counts: Counter[str] = field(default_factory=Counter)  # by status
    last_letter_id: int | None = None

    @property
    def tried(self) -> int:
        """How many letters that were."""
        return sum(self.counts[status] for status in (ACCEPTED, DUPLICATE, REJECTED))


def _item(letter: DeadLetter) -> object:
    """The item as it is tried again: a behaviour that says nothing of its time happened when it first came."""
    item = letter.item
    if letter.kind != "behaviour" or not isinstance(item, dict) or item.get("at") is not None:
        return item
    return item | {"at": letter.first_at.isoformat()}


async def replay_letters(stores: Stores, letters: Sequence[DeadLetter]) -> Replayed:
    """Try letters again: posts first, since events need them. What fails again stays, with the reason of this time."""
    replayed = Replayed(last_letter_id=max((letter.letter_id for letter in letters), default=None))
    for kind in WAYS:
        some = [letter for letter in letters if letter.kind == kind and letter.item is not None]
        if not some:
            continue
        statuses = await save_batch(stores, kind, [_item(letter) for letter in some])
        replayed.counts.update(one.status for one in statuses)
        failed = {
            letter.letter_id: one.reason or ""
            for letter, one in zip(some, statuses, strict=True)
            if one.status == REJECTED and one.reason != ERASED
        }
        await drop_letters(stores.database, [one.letter_id for one in some if one.letter_id not in failed])
        if failed:
            await failed_again(stores.database, failed)
    return replayed
