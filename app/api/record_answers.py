"""The answers about dead letters, the audit and people, as the OpenAPI documents them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Literal

from pydantic import BaseModel

from app.api.answers import with_example


class DeadLetterAnswer(BaseModel):
    """A rejected item; `item` is null where it was too large or too deep to be kept."""

    letter_id: int
    kind: Literal["post", "exposure", "behaviour"]
    item: Any
    reason: str
    source: str
    tries: int
    first_at: datetime
    last_at: datetime


class DeadLettersAnswer(BaseModel):
    """A page of rejected items, latest first; `next_before` brings the next one."""

    model_config = with_example(
        {
            "letters": [
                {
                    "letter_id": 17,
                    "kind": "behaviour",
                    "item": {"behaviour_id": "b9", "exposure_id": "e404", "kind": "like"},
                    "reason": "exposure_id: no such exposure; send it first, or name user_id and post_id",
                    "source": "key-5f0c9a2b",
                    "tries": 1,
                    "first_at": "2026-03-01T12:00:00+00:00",
                    "last_at": "2026-03-01T12:00:00+00:00",
                }
            ],
            "next_before": None,
            "kept": 1,
        }
    )

    letters: list[DeadLetterAnswer]
    next_before: int | None
    kept: int


class ReplayAnswer(BaseModel):
    """What trying again came to; `next_after` is there when there may be more."""

    model_config = with_example(
        {"tried": 2, "accepted": 1, "duplicate": 0, "rejected": 1, "next_after": None, "kept": 1}
    )

    tried: int
    accepted: int
    duplicate: int
    rejected: int
    next_after: int | None
    kept: int


class AuditEntryAnswer(BaseModel):
    """One change."""

    entry_id: int
    at: datetime
    actor: str
    verb: str
    subject: str
    before: dict[str, Any] | None
    after: dict[str, Any] | None
    request_id: str | None


class AuditAnswer(BaseModel):
    """A page of changes, latest first; `next_before` brings the next one."""

    model_config = with_example(
        {
            "entries": [
                {
                    "entry_id": 41,
                    "at": "2026-03-01T12:00:00+00:00",
                    "actor": "key-5f0c9a2b",
                    "verb": "PATCH /posts/{post_id}",
                    "subject": "p1",
                    "before": {"hidden": False},
                    "after": {"hidden": True},
                    "request_id": "9b3c5a1e7d2f4b60",
                }
            ],
            "next_before": None,
        }
    )

    entries: list[AuditEntryAnswer]
    next_before: int | None


class ErasureAnswer(BaseModel):
    """The receipt of an erasure; of a repeated one, that of the first, and what there still was to delete."""

    model_config = with_example(
        {
            "receipt_id": "erasure-5f0c9a2b7d1e4c38",
            "erased_at": "2026-03-01T12:00:00+00:00",
            "deleted": {"users": 1, "exposures": 240, "behaviours": 31, "peers": 12, "authored_posts": 2},
        }
    )

    receipt_id: str
    erased_at: datetime
    deleted: dict[str, int]


class PersonAnswer(BaseModel):
    """Everything that is kept of one person; `user` has one element, or none for one who was only shown things."""

    model_config = with_example(
        {
            "user_id": "u1",
            "user": [{"attributes": {"age": 24}, "personalised": True, "created_at": "2026-03-01T12:00:00+00:00"}],
            "traits": [{"name": "age", "value": "20-24"}],
            "exposures": [{"exposure_id": "e1", "post_id": "p1", "shown_at": "2026-03-01T12:00:00+00:00"}],
            "behaviours": [],
            "not_interested": [],
            "peers": [{"kind": "similar_user", "overlap": 0.5, "count": 3}],
            "authored_posts": [],
            "dead_letters": [],
        }
    )

    user_id: str
    user: list[dict[str, Any]]
    traits: list[dict[str, Any]]
    exposures: list[dict[str, Any]]
    behaviours: list[dict[str, Any]]
    not_interested: list[dict[str, Any]]
    peers: list[dict[str, Any]]
    authored_posts: list[dict[str, Any]]
    dead_letters: list[dict[str, Any]]
