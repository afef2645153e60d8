"""`/admin/dead-letters`: items that were rejected, why, and another try for them."""

from __future__ import annotations

import json

from starlette.requests import Request
from starlette.responses import Response

from app.intake.batches import WAYS
from app.intake.dead_letters import replay_letters
from app.intake.status import ACCEPTED, DUPLICATE, REJECTED
from app.pages.admin.door import inside
from app.pages.admin.frame import PATH, Frame, frame_of
from app.pages.admin.sheets import sheet
from app.pages.forms import form_fields, usable_number
from app.pages.rendering import go_to
from app.storage.dead_letters import (
    NEWEST,
    DeadLetter,
    count_letters,
    drop_letters,
    letters_by_id,
    letters_page,
    oldest_letters,
)

LETTERS_SHOWN = 50
TRIED_AT_ONCE = 500
SHEET_ROWS_AT_MOST = 10_000
ITEM_CHARACTERS = 4000
ID_DIGITS = 18


@inside.get("/dead-letters")
async def letters(request: Request) -> Response:
    """The latest, latest first."""
    return await _listed(frame_of(request), "")


@inside.post("/dead-letters/replay")
async def replay(request: Request) -> Response:
    """Try one letter again, or the oldest ones."""
    frame = frame_of(request)
    database = frame.parts.stores.database
    letter_id = usable_number((await form_fields(request)).get("letter", ""), digits=ID_DIGITS)
    if letter_id is not None:
        chosen = await letters_by_id(database, [letter_id])
    else:
        chosen = await oldest_letters(database, after=0, limit=TRIED_AT_ONCE)
    replayed = await replay_letters(frame.parts.stores, chosen)
    counts: dict[str, int] = {status: replayed.counts[status] for status in (ACCEPTED, DUPLICATE, REJECTED)}
    await frame.note("replay dead letters", f"{replayed.tried} letters", after=counts)
    taken = counts[ACCEPTED] + counts[DUPLICATE]
    said = frame.t(
        "{tried} tried again: {taken} taken in, {failed} failed.",
        tried=replayed.tried,
        taken=taken,
        failed=counts[REJECTED],
    )
    return await _listed(frame, said)


@inside.post("/dead-letters/drop")
async def drop(request: Request) -> Response:
    """Give up on one letter."""
    frame = frame_of(request)
    letter_id = usable_number((await form_fields(request)).get("letter", ""), digits=ID_DIGITS)
    if letter_id is not None and await drop_letters(frame.parts.stores.database, [letter_id]):
        await frame.note("drop a dead letter", str(letter_id))
    return go_to(f"{PATH}/dead-letters")


@inside.get("/dead-letters.csv")
async def letters_sheet(request: Request) -> Response:
    """The letters with their items."""
    found = await letters_page(frame_of(request).parts.stores.database, limit=SHEET_ROWS_AT_MOST)
    columns = ("letter_id", "kind", "reason", "source", "tries", "first_at", "last_at", "item")
    rows = [
        (one.letter_id, one.kind, one.reason, one.source, one.tries, one.first_at, one.last_at, item_words(one))
        for one in found
    ]
    return sheet("tuwen-dead-letters", columns, rows)


async def _listed(frame: Frame, said: str) -> Response:
    query = frame.request.query_params
    kind = query.get("kind") if query.get("kind") in WAYS else None
    before = usable_number(query.get("before", ""), digits=ID_DIGITS) or NEWEST
    database = frame.parts.stores.database
    found = await letters_page(database, limit=LETTERS_SHOWN, before=before, kind=kind)
    values = {
        "letters": [(one, item_words(one)) for one in found],
        "kinds": list(WAYS),
        "kind": kind,
        "kept": await count_letters(database),
        "next_before": found[-1].letter_id if len(found) == LETTERS_SHOWN else None,
        "said": said,
    }
    return frame.page("letters.html", values, room="letters", title=frame.t("Dead letters"))


def item_words(letter: DeadLetter) -> str:
    """The item as it came, readable; empty where it was not kept."""
    if letter.item is None:
        return ""
    return json.dumps(letter.item, ensure_ascii=False, indent=1)[:ITEM_CHARACTERS]
