"""One user's part of the log in PostgreSQL -> his latest showings with their acts, and every post he has been shown."""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from operator import attrgetter
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain import Act, BehaviourKind, ShownPost

SHOWINGS_AT_MOST = 200  # latest showings, whatever followed
ACTS_AT_MOST = 400  # latest acts; the showings they answer come along however old, or references would be lost
SEEN_AT_MOST = 20_000  # latest showings whose posts are not shown again
SHOWINGS_OF_ACTED_POSTS_AT_MOST = 2000

_ACTS = text("""
    SELECT behaviour_id, post_id, kind, at, exposure_id FROM behaviours
    WHERE user_id = :user_id ORDER BY at DESC, behaviour_id DESC LIMIT :acts""").bindparams(acts=ACTS_AT_MOST)
_SHOWINGS = text("""
    (SELECT exposure_id, post_id, shown_at, position, true AS is_recent FROM exposures
     WHERE user_id = :user_id ORDER BY shown_at DESC, exposure_id DESC LIMIT :showings)
    UNION ALL
    (SELECT exposure_id, post_id, shown_at, position, false FROM exposures
     WHERE user_id = :user_id AND post_id = ANY(:post_ids)
     ORDER BY shown_at DESC, exposure_id DESC LIMIT :showings_of_acted)""").bindparams(
    showings=SHOWINGS_AT_MOST, showings_of_acted=SHOWINGS_OF_ACTED_POSTS_AT_MOST
)
_SEEN = text("""
    SELECT array_agg(post_id) FROM (
        (SELECT post_id FROM exposures WHERE user_id = :user_id ORDER BY shown_at DESC LIMIT :seen)
        UNION ALL
        (SELECT post_id FROM behaviours WHERE user_id = :user_id ORDER BY at DESC LIMIT :seen)
    ) AS latest""").bindparams(seen=SEEN_AT_MOST)

by_showing = attrgetter("shown_at", "exposure_id")


@dataclass(frozen=True, slots=True)
class UserLog:
    """What the log knows of one user."""

    shown: tuple[ShownPost, ...] = ()  # oldest first: the latest, and older ones that were acted on
    seen: frozenset[str] = frozenset()  # ids of posts shown to him


async def read_user_log(connection: AsyncConnection, user_id: str) -> UserLog:
    """Read one user's part of the log; a user without any has an empty one."""
    acts = (await connection.execute(_ACTS, {"user_id": user_id})).all()
    wanted = {"user_id": user_id, "post_ids": list({act.post_id for act in acts})}
    showings = (await connection.execute(_SHOWINGS, wanted)).all()
    seen = await connection.scalar(_SEEN, {"user_id": user_id})
    return UserLog(attributed(user_id, showings, acts=acts), frozenset(seen or ()))


@dataclass(slots=True)
class _Showing:
    """A showing whose acts are still being found."""

    exposure_id: str
    post_id: str
    shown_at: datetime
    position: int | None
    acts: list[Act] = field(default_factory=list)


def attributed(user_id: str, showings: Iterable[Row[Any]], *, acts: Sequence[Row[Any]]) -> tuple[ShownPost, ...]:
    """Give each act to the showing it names, else to the latest one of its post at or before it.

    An act without any makes a showing at its own time: the user must have seen the post somewhere. Showings are rows
    with `is_recent`; the others are kept only when an act belongs to them.
    """
    known: dict[str, _Showing] = {}
    kept: dict[str, _Showing] = {}
    of_post: dict[str, list[_Showing]] = {}
    for row in showings:
        if row.exposure_id not in known:
            known[row.exposure_id] = _Showing(row.exposure_id, row.post_id, row.shown_at, row.position)
        if row.is_recent:
            kept[row.exposure_id] = known[row.exposure_id]
    for showing in sorted(known.values(), key=by_showing):
        of_post.setdefault(showing.post_id, []).append(showing)
    for act in sorted(acts, key=attrgetter("at", "behaviour_id")):
        named = known.get(act.exposure_id)
        showing = named or _showing_before(act, of_post.setdefault(act.post_id, []))
        kept[showing.exposure_id] = showing
        showing.acts.append(Act(BehaviourKind(act.kind), act.at))
    return tuple(_shown_post(user_id, showing) for showing in sorted(kept.values(), key=by_showing))


def _showing_before(act: Row[Any], showings: list[_Showing]) -> _Showing:
    """The latest of the post's showings at or before the act, made up and added when there is none."""
    place = bisect_right(showings, act.at, key=attrgetter("shown_at"))
    if place:
        return showings[place - 1]
    made_up = _Showing(act.behaviour_id, act.post_id, act.at, None)
    insort(showings, made_up, key=attrgetter("shown_at"))
    return made_up


def _shown_post(user_id: str, showing: _Showing) -> ShownPost:
    return ShownPost(
        showing.exposure_id, user_id, showing.post_id, showing.shown_at, showing.position, tuple(showing.acts)
    )
