"""Posts returned to a user a moment ago <-> one short-lived entry in Redis, so that the next call brings others.

An answer is entered only if the entry is still what the answer was made with. So of two calls at the very same moment,
to whichever process, the later one is told what the other took.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain
from typing import Self

import orjson
from redis.asyncio.client import Pipeline

from app.storage.cache import Cache

ANSWERS_AT_MOST = 50  # latest answers that count

# Gives nothing when the answer was entered, else the entry as it is now.
_ENTER = """
local now = redis.call('GET', KEYS[1]) or ''
if now == ARGV[1] or now == '' then
    redis.call('SET', KEYS[1], ARGV[2], 'PX', ARGV[4])
elseif ARGV[3] ~= '' then
    redis.call('SET', KEYS[1], string.sub(now, 1, -2) .. ',' .. ARGV[3] .. ']', 'PX', ARGV[4])
else
    return now
end
return nil
"""


@dataclass(frozen=True, slots=True)
class Reservations:
    """What was returned to a user lately, the oldest answer first."""

    answers: tuple[tuple[float, tuple[str, ...]], ...] = ()  # reserved until (unix seconds), post ids
    entry: bytes = b""  # as it was read

    @classmethod
    def of(cls, entry: bytes | None) -> Self:
        """What the entry says that still counts."""
        if not entry:
            return cls()
        now = time.time()
        return cls(tuple((until, tuple(ids)) for until, ids in orjson.loads(entry) if until > now), entry)

    @property
    def post_ids(self) -> tuple[str, ...]:
        """Ids that are reserved, those of the oldest answer first."""
        return tuple(chain.from_iterable(ids for _, ids in self.answers))

    def extend(
        self, pipeline: Pipeline, key: str, post_ids: Sequence[str], *, seconds: float, unless_overtaken: bool
    ) -> None:
        """Reserve at `key` what is returned now too, when the pipeline is executed.

        With `unless_overtaken` only if no other answer was entered since these were read; the command's result is then
        None, else the entry as it is now.
        """
        answer = (time.time() + seconds, tuple(post_ids))
        entry = orjson.dumps((*self.answers, answer)[-ANSWERS_AT_MOST:])
        otherwise = b"" if unless_overtaken else orjson.dumps(answer)
        pipeline.eval(_ENTER, 1, key, self.entry, entry, otherwise, int(1000 * seconds))


class Overtaken(Exception):  # noqa: N818
    """Another answer to the user was entered since these reservations were read."""

    def __init__(self, now: Reservations) -> None:
        super().__init__()
        self.now = now


def reserved_key(cache: Cache, user_id: str) -> str:
    """Where the entry of a user is."""
    return f"reserved:{cache.name_of(user_id)}"


NOTHING_RESERVED = Reservations()
