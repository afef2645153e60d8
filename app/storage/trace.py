"""How a recommendation was made <-> its id: the arm of an experiment, and what chance had to do with it.

The id comes back with every showing, whoever reports it and however late. So nothing has to be kept of the millions of
recommendations that lead to none, and no client has to carry anything further. An id without a trace is a plain word.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from hashlib import blake2b
from typing import Self
from uuid import uuid4

TAG_DIGITS = 3  # of a post given a place by chance: with so few posts two of one tag are unlikely
EXPLORED_AT_MOST = 10
PINNED_AT_MOST = 99
NAME = r"[A-Za-z0-9_-]{1,20}"  # of an experiment or an arm
_ID = re.compile(
    rf"[0-9a-f]{{32}}~(?P<experiment>{NAME})?~(?P<arm>{NAME})?~(?P<share>[0-9.]{{1,6}})~(?P<pool>\d{{1,4}})"
    rf"~(?P<tags>([0-9a-f]{{{TAG_DIGITS}}}){{0,{EXPLORED_AT_MOST}}})(~(?P<pinned>\d{{1,2}}))?",
    re.ASCII,
)


@dataclass(frozen=True, slots=True)
class Trace:
    """What an id tells of its recommendation."""

    experiment: str | None = None
    arm: str | None = None
    share: float = 0.0  # probability with which a place went to a post drawn by chance
    pool: int = 0  # posts of which it was drawn, each as likely as the others
    tags: frozenset[str] = frozenset()  # of the posts that were drawn
    pinned: int = 0  # first places, up to 99, that nothing but a pin could have

    @classmethod
    def of(cls, recommendation_id: str | None) -> Self | None:
        """The trace in an id; None where it has none."""
        found = None if recommendation_id is None else _ID.fullmatch(recommendation_id)
        if found is None:
            return None
        tags, share = found["tags"], found["share"]
        return cls(
            found["experiment"],
            found["arm"],
            min(1.0, float(share)) if share.count(".") <= 1 and share != "." else 0.0,
            int(found["pool"]),
            frozenset(tags[at : at + TAG_DIGITS] for at in range(0, len(tags), TAG_DIGITS)),
            int(found["pinned"] or 0),
        )

    def new_id(self) -> str:
        """An id that nobody has had, with this trace in it."""
        word = uuid4().hex
        if self == Trace():
            return word
        tags = "".join(sorted(self.tags))
        made = f"{word}~{self.experiment or ''}~{self.arm or ''}~{self.share:.4f}~{self.pool}~{tags}"
        return f"{made}~{min(self.pinned, PINNED_AT_MOST)}" if self.pinned else made

    def propensity(self, post_id: str, position: int | None) -> float:
        """Probability with which its place of the page, 0 = first, went to the post that has it."""
        if position is not None and position < self.pinned:
            return 1.0
        if _tag(post_id) in self.tags and self.pool:
            return self.share / self.pool
        return 1.0 - self.share


def tags_of(post_ids: Iterable[str]) -> frozenset[str]:
    """Tags of the posts that were drawn."""
    return frozenset(_tag(post_id) for post_id in post_ids)


def _tag(post_id: str) -> str:
    return blake2b(post_id.encode(), digest_size=4).hexdigest()[:TAG_DIGITS]
