"""A successful write by ops or admin -> an entry of the audit; no such route can forget it.

Routes may add with `note` what was changed, and from what to what.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from starlette.requests import Request

from app.api.keys import CALLER, Caller
from app.api.problems import current_request_id, route_path
from app.api.state import STATE, ApiState
from app.errors import Unavailable
from app.storage.audit import Change, write_audit

NOTE = "tuwen.audit"  # in the ASGI scope
READING = ("GET", "HEAD", "OPTIONS")

logger = logging.getLogger(__name__)


def note(
    request: Request,
    *,
    subject: str | None = None,
    before: Mapping[str, Any] | None = None,
    after: Mapping[str, Any] | None = None,
) -> None:
    """Say what this request changes; without a subject it is what the path names."""
    request.scope[NOTE] = {"subject": subject, "before": before, "after": after}


def written_already(request: Request) -> None:
    """Say that this request's entry is written within its own transaction."""
    request.scope[NOTE] = None


async def write_entry(request: Request) -> None:
    """Write down who did what; an entry that cannot be written is in the log of the service instead."""
    noted: dict[str, Any] | None = request.scope.get(NOTE, {})
    caller = request.scope.get(CALLER)
    # Reading is of interest only where the route says so.
    if noted is None or (not noted and request.method in READING) or not isinstance(caller, Caller):
        return
    state: ApiState = getattr(request.app.state, STATE)
    change = Change(
        actor=caller.key_id,
        verb=f"{request.method} {route_path(request.scope)}",
        subject=noted.get("subject") or " ".join(str(value) for value in request.path_params.values()) or "-",
        before=noted.get("before"),
        after=noted.get("after"),
        request_id=current_request_id.get(),
    )
    try:
        await write_audit(state.stores.database, change)
    except Unavailable:
        logger.error("not written into the audit: %s by %s on %s", change.verb, change.actor, change.subject)
