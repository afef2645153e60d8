"""What people type and their pages report -> form fields, ids, numbers and checked bodies.

Much of it comes without a key, so that no more is read than an honest page sends.
"""

from __future__ import annotations

from typing import TypeVar
from urllib.parse import parse_qs

from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.exceptions import HTTPException
from starlette.requests import Request

from app.errors import BadInput
from app.intake.fields import Id

FORM = "application/x-www-form-urlencoded"
FIELDS_AT_MOST = 20
FORM_BYTES = 4 << 10  # some ids, or a key
ID = TypeAdapter(Id)

BodyOf = TypeVar("BodyOf", bound=BaseModel)


async def form_fields(request: Request, *, max_bytes: int = FORM_BYTES) -> dict[str, str]:
    """The first value of each field. Raises BadInput, or HTTPException 413."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise BadInput("send this form with a browser")
    content = await _content(request, max_bytes)
    try:
        fields = parse_qs(content.decode("utf-8"), max_num_fields=FIELDS_AT_MOST, errors="strict")
    except ValueError:
        raise BadInput("send this form with a browser") from None
    return {name: values[0] for name, values in fields.items()}


async def reported(request: Request, model: type[BodyOf], *, max_bytes: int) -> BodyOf:
    """The JSON that a page sends. Raises BadInput, or HTTPException 413."""
    content = await _content(request, max_bytes)
    try:
        return model.model_validate_json(content)
    except ValidationError:
        raise BadInput("this is not what the page sends") from None


async def _content(request: Request, max_bytes: int) -> bytes:
    """The body. Raises HTTPException 413."""
    content = b""
    async for part in request.stream():
        content += part
        if len(content) > max_bytes:
            raise HTTPException(413, f"this page sends at most {max_bytes} bytes", headers={"Connection": "close"})
    return content


def usable_id(typed: str) -> str:
    """An id as typed, without blanks around it; empty for what cannot be one."""
    try:
        return str(ID.validate_python(typed.strip()))
    except ValidationError:
        return ""


def usable_number(typed: str, *, digits: int) -> int | None:
    """A whole number as typed, of so many digits at most; None for what is none."""
    return int(typed) if typed.isascii() and typed.isdecimal() and len(typed) <= digits else None
