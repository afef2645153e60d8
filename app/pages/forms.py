"""What people type -> form fields, ids and numbers. Browsers send `application/x-www-form-urlencoded`, nothing else."""

from __future__ import annotations

from urllib.parse import parse_qs

from pydantic import TypeAdapter, ValidationError
from starlette.requests import Request

from app.errors import BadInput
from app.intake.fields import Id

FORM = "application/x-www-form-urlencoded"
FIELDS_AT_MOST = 20
ID = TypeAdapter(Id)


async def form_fields(request: Request) -> dict[str, str]:
    """The first value of each field. Raises BadInput."""
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise BadInput("send this form with a browser")
    try:
        text = (await request.body()).decode("utf-8")
        fields = parse_qs(text, max_num_fields=FIELDS_AT_MOST, errors="strict")
    except ValueError:
        raise BadInput("send this form with a browser") from None
    return {name: values[0] for name, values in fields.items()}


def usable_id(typed: str) -> str:
    """An id as typed, without blanks around it; empty for what cannot be one."""
    try:
        return str(ID.validate_python(typed.strip()))
    except ValidationError:
        return ""


def usable_number(typed: str, *, digits: int) -> int | None:
    """A whole number as typed, of so many digits at most; None for what is none."""
    return int(typed) if typed.isascii() and typed.isdecimal() and len(typed) <= digits else None
