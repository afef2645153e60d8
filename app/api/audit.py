"""`/audit`: who changed what, and when."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from starlette.responses import Response

from app.api.guarded import GuardedRoute
from app.api.json_bodies import json_answer
from app.api.keys import ADMIN
from app.api.record_answers import AuditAnswer
from app.api.schemas import LetterId
from app.api.state import State
from app.storage.audit import NEWEST, audit_page

ENTRIES_AT_MOST = 500

router = APIRouter(route_class=GuardedRoute, tags=["records"])


@router.get("/audit", dependencies=[ADMIN], response_model=AuditAnswer)
async def get_audit(
    state: State, before: LetterId = NEWEST, limit: Annotated[int, Query(ge=1, le=ENTRIES_AT_MOST)] = 50
) -> Response:
    """Changes by ops and admin keys, in admin sessions and by commands, latest first."""
    entries = await audit_page(state.stores.database, limit=limit, before=before)
    content = {"entries": entries, "next_before": entries[-1].entry_id if len(entries) == limit else None}
    return json_answer(content)
