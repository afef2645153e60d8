"""`/admin/user/erase`: a person is erased for good, with a receipt; whoever does it types the id once more."""

from __future__ import annotations

from dataclasses import dataclass

from starlette.requests import Request
from starlette.responses import Response

from app.errors import Unavailable
from app.intake.users import Erased, erase_user
from app.pages.admin.door import inside
from app.pages.admin.frame import Frame, frame_of
from app.pages.forms import form_fields, usable_id
from app.pages.rendering import notice


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of the form: the receipt, or why there is none."""

    status: int
    erased: Erased | None
    problem: str


@inside.post("/user/erase")
async def erase(request: Request) -> Response:
    """Erase the person as the API does, and show the receipt."""
    frame = frame_of(request)
    fields = await form_fields(request)
    user_id = usable_id(fields.get("id", ""))
    if not user_id:
        return notice(frame.t("Users"), frame.t("This cannot be a user id."), status=404, language=frame.language)
    outcome = await _erased(frame, user_id, typed=fields.get("typed", ""))
    title = frame.t("This person was erased") if outcome.erased else frame.t("Erase this person")
    values = {"user_id": user_id, "erased": outcome.erased, "problem": outcome.problem}
    return frame.page("erased.html", values, room="users", title=title, status=outcome.status)


async def _erased(frame: Frame, user_id: str, *, typed: str) -> Outcome:
    if usable_id(typed) != user_id:
        return Outcome(422, None, frame.t("What was typed is not the id."))
    try:
        erased = await erase_user(frame.parts.stores, user_id, actor=frame.actor)
    except Unavailable as problem:
        return Outcome(503, None, frame.t("Not finished, so do it again: {problem}", problem=problem.message))
    return Outcome(200, erased, "")
