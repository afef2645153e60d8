"""`/admin/audit`: who changed what and when, by the API, the command line or here."""

from __future__ import annotations

import json
from collections.abc import Mapping

from starlette.requests import Request
from starlette.responses import Response

from app.pages.admin.door import inside
from app.pages.admin.frame import frame_of
from app.pages.admin.sheets import sheet
from app.pages.forms import usable_number
from app.storage.audit import NEWEST, audit_page

ENTRIES_SHOWN = 50
SHEET_ROWS_AT_MOST = 50_000
ID_DIGITS = 18


@inside.get("/audit")
async def audit(request: Request) -> Response:
    """The latest changes, latest first."""
    frame = frame_of(request)
    before = usable_number(request.query_params.get("before", ""), digits=ID_DIGITS) or NEWEST
    found = await audit_page(frame.parts.stores.database, limit=ENTRIES_SHOWN, before=before)
    values = {
        "entries": [(one, value_words(one.before), value_words(one.after)) for one in found],
        "next_before": found[-1].entry_id if len(found) == ENTRIES_SHOWN else None,
    }
    return frame.page("audit.html", values, room="audit", title=frame.t("Audit"))


@inside.get("/audit.csv")
async def audit_sheet(request: Request) -> Response:
    """The whole audit."""
    found = await audit_page(frame_of(request).parts.stores.database, limit=SHEET_ROWS_AT_MOST)
    columns = ("at", "actor", "verb", "subject", "before", "after", "request_id")
    rows = [
        (one.at, one.actor, one.verb, one.subject, value_words(one.before), value_words(one.after), one.request_id)
        for one in found
    ]
    return sheet("tuwen-audit", columns, rows)


def value_words(values: Mapping[str, object] | None) -> str:
    """`hidden: true, title: Noodles`; empty for none."""
    return ", ".join(f"{name}: {json.dumps(value, ensure_ascii=False)}" for name, value in (values or {}).items())
