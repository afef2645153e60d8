"""`/admin/keys`: who may call the API; making a key and ending one. A secret is shown once and kept nowhere."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from app.domain import Role
from app.errors import UnknownId
from app.pages.admin.door import inside
from app.pages.admin.frame import PATH, Frame, frame_of
from app.pages.forms import form_fields
from app.pages.rendering import go_to
from app.storage.keys import NewKey, create_key, list_keys, revoke_key

NAME_CHARACTERS = 100


@inside.get("/keys")
async def keys(request: Request) -> Response:
    """All keys, revoked ones included."""
    return await _listed(frame_of(request), None, "")


@inside.post("/keys/create")
async def create(request: Request) -> Response:
    """Make a key; the answer is the only place that ever shows its secret."""
    frame = frame_of(request)
    fields = await form_fields(request)
    name = "".join(filter(str.isprintable, fields.get("name", ""))).strip()[:NAME_CHARACTERS]
    if fields.get("role") not in list(Role) or not name:
        return await _listed(frame, None, frame.t("Choose a role and say what the key is for."), status=422)
    made = await create_key(frame.parts.stores.database, role=Role(fields["role"]), name=name)
    await frame.note("make a key", made.key.key_id, after={"role": made.key.role, "name": name})
    return await _listed(frame, made, "")


@inside.post("/keys/revoke")
async def revoke(request: Request) -> Response:
    """End a key; services notice within seconds. Not the one that is signed in: use another for that."""
    frame = frame_of(request)
    key_id = (await form_fields(request)).get("key", "")
    if key_id == frame.key_id:
        return await _listed(
            frame, None, frame.t("You are signed in with this key: sign in with another first."), status=409
        )
    try:
        await revoke_key(frame.parts.stores.database, key_id)
    except UnknownId as problem:
        return await _listed(frame, None, problem.message, status=404)
    await frame.note("revoke a key", key_id)
    return go_to(f"{PATH}/keys")


async def _listed(frame: Frame, made: NewKey | None, problem: str, *, status: int = 200) -> Response:
    found = await list_keys(frame.parts.stores.database)
    found.sort(key=lambda key: (key.revoked_at is not None, key.created_at))
    values = {"keys": found, "made": made, "problem": problem, "roles": list(Role)}
    return frame.page("keys.html", values, room="keys", title=frame.t("Keys"), status=status)
