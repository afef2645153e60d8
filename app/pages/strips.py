"""What a user was shown and did -> the strip of pictures that the pages draw, latest first."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from app.domain import BEHAVIOUR_KINDS, Act, BehaviourKind, Post, ShownPost

MINUTE, HOUR, DAY = 60, 3600, 86_400
DELETED_TITLE = "(deleted)"


@dataclass(frozen=True, slots=True)
class ActView:
    """One act in words."""

    kind: BehaviourKind
    at_words: str


@dataclass(frozen=True, slots=True)
class StripItem:
    """One showing as the pages draw it."""

    title: str
    picture_url: str | None
    at_iso: str
    at_words: str  # of the latest act, or of the showing where there was none
    shown_words: str
    kinds: tuple[BehaviourKind, ...]  # each once, in the order of BEHAVIOUR_KINDS
    acts: tuple[ActView, ...]  # in the order of time


def acted_on(shown: Sequence[ShownPost], *, count: int) -> list[ShownPost]:
    """The showings that were followed by an act, the latest act first, each post once."""
    acted = sorted((one for one in shown if one.acts), key=lambda one: one.acts[-1].at, reverse=True)
    once = {one.post_id: one for one in reversed(acted)}
    return [one for one in acted if once[one.post_id] is one][:count]


def strip_of(shown: Sequence[ShownPost], posts: Mapping[str, Post], *, now: datetime, pictures: str) -> list[StripItem]:
    """The strip of some showings. `pictures` is the address under which the page finds pictures by their hash."""
    return [_item(one, posts.get(one.post_id), now, pictures) for one in shown]


def _item(one: ShownPost, post: Post | None, now: datetime, pictures: str) -> StripItem:
    latest = one.acts[-1].at if one.acts else one.shown_at
    return StripItem(
        title=post.title if post else DELETED_TITLE,
        picture_url=picture_url(post.picture_hash if post else None, pictures),
        at_iso=latest.isoformat(),
        at_words=ago(latest, now),
        shown_words=ago(one.shown_at, now),
        kinds=tuple(kind for kind in BEHAVIOUR_KINDS if any(act.kind is kind for act in one.acts)),
        acts=tuple(_act(act, now) for act in one.acts),
    )


def _act(act: Act, now: datetime) -> ActView:
    return ActView(act.kind, ago(act.at, now))


def picture_url(picture_hash: str | None, pictures: str) -> str | None:
    """Where the page finds a picture; None for a post without one."""
    return f"{pictures}/{picture_hash}" if picture_hash else None


def ago(moment: datetime, now: datetime) -> str:
    """How long ago, in the largest fitting unit, e.g. `5 min` or `3 d`; both times are aware."""
    seconds = (now - moment).total_seconds()
    if seconds < MINUTE:
        return "now"
    if seconds < HOUR:
        return f"{seconds // MINUTE:.0f} min"
    if seconds < DAY:
        return f"{seconds // HOUR:.0f} h"
    return f"{seconds // DAY:.0f} d"
