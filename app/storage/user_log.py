"""One user's part of the log in PostgreSQL -> his latest showings with their acts, and every post he has been shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from operator import attrgetter
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection

from app.domain import BehaviourKind, ShownPost
from app.storage.attribution import BehaviourRow, ShowingRow, with_acts

SHOWINGS_AT_MOST = 200  # latest showings, whatever followed
ACTS_AT_MOST = 400  # latest acts; the showings they answer come along however old, or references would be lost
SEEN_AT_MOST = 20_000  # latest showings whose posts are not shown again
REJECTED_AT_MOST = 2000  # latest posts in which the user is not interested
SHOWINGS_OF_ACTED_POSTS_AT_MOST = 2000

_ACTS = text("""
    SELECT behaviour_id, exposure_id, post_id, kind, at, arrived_at FROM behaviours
    WHERE user_id = :user_id ORDER BY at DESC, behaviour_id DESC LIMIT :acts""").bindparams(acts=ACTS_AT_MOST)
_SHOWINGS = text("""
    (SELECT exposure_id, post_id, shown_at, position, arrived_at FROM exposures
     WHERE user_id = :user_id ORDER BY shown_at DESC, exposure_id DESC LIMIT :showings)
    UNION
    (SELECT exposure_id, post_id, shown_at, position, arrived_at FROM exposures
     WHERE user_id = :user_id AND post_id = ANY(:post_ids)
     ORDER BY shown_at DESC, exposure_id DESC LIMIT :showings_of_acted)""").bindparams(
    showings=SHOWINGS_AT_MOST, showings_of_acted=SHOWINGS_OF_ACTED_POSTS_AT_MOST
)
_SEEN = text("""
    SELECT (
        SELECT array_agg(post_id) FROM (
            (SELECT post_id FROM exposures WHERE user_id = :user_id ORDER BY shown_at DESC LIMIT :seen)
            UNION ALL
            (SELECT post_id FROM behaviours WHERE user_id = :user_id ORDER BY at DESC LIMIT :seen)
        ) AS latest
    ) AS seen, (
        SELECT array_agg(post_id ORDER BY at DESC, behaviour_id) FROM (
            SELECT * FROM rejections WHERE user_id = :user_id ORDER BY at DESC, behaviour_id LIMIT :rejected
        ) AS latest
    ) AS rejected""").bindparams(seen=SEEN_AT_MOST, rejected=REJECTED_AT_MOST)

_IS_PERSONALISED = text("SELECT personalised FROM users WHERE user_id = :user_id")

_NEVER = datetime.max.replace(tzinfo=UTC)
by_showing = attrgetter("shown_at", "exposure_id")


@dataclass(frozen=True, slots=True)
class UserLog:
    """What the log knows of one user."""

    shown: tuple[ShownPost, ...] = ()  # oldest first: the latest, and older ones that were acted on
    seen: frozenset[str] = frozenset()  # ids of posts shown to him
    rejected: tuple[str, ...] = ()  # ids of posts in which he is not interested, latest first
    personalised: bool = True  # whether what is known of him may be used

    @property
    def latest_like_at(self) -> datetime | None:
        """When he last liked something, UTC, aware."""
        likes = [act.at for showing in self.shown for act in showing.acts if act.kind is BehaviourKind.LIKE]
        return max(likes, default=None)


async def read_user_log(connection: AsyncConnection, user_id: str) -> UserLog:
    """Read one user's part of the log; a user without any has an empty one."""
    acts = (await connection.execute(_ACTS, {"user_id": user_id})).all()
    wanted = {"user_id": user_id, "post_ids": list({act.post_id for act in acts})}
    showings = [ShowingRow._make(row) for row in await connection.execute(_SHOWINGS, wanted)]
    seen, rejected = (await connection.execute(_SEEN, {"user_id": user_id})).one()
    personalised = await connection.scalar(_IS_PERSONALISED, {"user_id": user_id})
    shown = _attributed(user_id, showings, acts=acts)
    return UserLog(shown, frozenset(seen or ()), tuple(dict.fromkeys(rejected or ())), personalised is not False)


def _attributed(user_id: str, showings: Sequence[ShowingRow], *, acts: Sequence[Row[Any]]) -> tuple[ShownPost, ...]:
    """The latest showings and those with acts, oldest first."""
    ordered = sorted([*showings, *_made_up(showings, acts)], key=by_showing)
    answers = [BehaviourRow._make(act[1:]) for act in acts]
    shown = with_acts(user_id, ordered, answers)
    latest = len(shown) - SHOWINGS_AT_MOST
    kept = [showing for place, showing in enumerate(shown) if place >= latest or showing.acts]
    return tuple([replace(showing, arrived_at=None) for showing in kept])  # arrival matters to training alone


def _made_up(showings: Iterable[ShowingRow], acts: Iterable[Row[Any]]) -> list[ShowingRow]:
    """Showings for acts that answer none: each such post was shown, somewhere, when it was first acted on."""
    known = {showing.exposure_id: showing.post_id for showing in showings}
    first_shown_at: dict[str, datetime] = {}
    for showing in showings:
        first_shown_at[showing.post_id] = min(showing.shown_at, first_shown_at.get(showing.post_id, showing.shown_at))
    made_up: dict[str, ShowingRow] = {}
    for act in sorted(acts, key=attrgetter("at", "behaviour_id")):
        names_one = known.get(act.exposure_id) == act.post_id
        if not names_one and act.at < first_shown_at.get(act.post_id, _NEVER) and act.post_id not in made_up:
            made_up[act.post_id] = ShowingRow(act.behaviour_id, act.post_id, act.at, None, act.arrived_at)
    return list(made_up.values())
