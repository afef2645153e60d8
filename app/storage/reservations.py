"""Posts returned to a user a moment ago <-> one short-lived entry in Redis, so that the next call brings others.

Two calls at the very same moment read the same entry, and may return the same posts.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from itertools import chain
from typing import Self

import orjson
from redis.asyncio.client import Pipeline

ANSWERS_AT_MOST = 50  # latest answers that count


@dataclass(frozen=True, slots=True)
class Reservations:
    """What was returned to a user lately, the oldest answer first."""

    answers: tuple[tuple[float, tuple[str, ...]], ...] = ()  # reserved until (unix seconds), post ids

    @classmethod
    def of(cls, content: bytes | None) -> Self:
        """What the entry says that still counts."""
        if content is None:
            return cls()
        now = time.time()
        return cls(tuple((until, tuple(ids)) for until, ids in orjson.loads(content) if until > now))

    @property
    def post_ids(self) -> tuple[str, ...]:
        """Ids that are reserved, those of the oldest answer first."""
        return tuple(chain.from_iterable(ids for _, ids in self.answers))

    def extend(self, pipeline: Pipeline, user_id: str, post_ids: Sequence[str], *, seconds: float) -> None:
        """Reserve what is returned now too, when the pipeline is executed."""
        answers = (*self.answers, (time.time() + seconds, tuple(post_ids)))[-ANSWERS_AT_MOST:]
        pipeline.set(reserved_key(user_id), orjson.dumps(answers), px=int(1000 * seconds))


def reserved_key(user_id: str) -> str:
    """Where the entry of a user is; it names nobody, since an answer to an id that was erased makes one too."""
    return f"reserved:{sha256(user_id.encode()).hexdigest()[:32]}"


NOTHING_RESERVED = Reservations()
