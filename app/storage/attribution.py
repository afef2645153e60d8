"""The rows of one user's showings and behaviours -> showings, each with the acts that answer it.

Attribution happens at reading, so it is the same in whatever order the events arrived.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple

from app.domain import BEHAVIOUR_KINDS, Act, BehaviourKind, ShownPost

KINDS = {kind.value: (number, kind) for number, kind in enumerate(BEHAVIOUR_KINDS)}


class ShowingRow(NamedTuple):
    """A row of `exposures`, without its user."""

    exposure_id: str
    post_id: str
    shown_at: datetime  # UTC, aware
    position: int | None
    arrived_at: datetime  # UTC, aware


class BehaviourRow(NamedTuple):
    """A row of `behaviours`, without its user."""

    exposure_id: str | None
    post_id: str
    kind: str
    at: datetime  # UTC, aware
    arrived_at: datetime  # UTC, aware


def with_acts(user_id: str, showings: Sequence[ShowingRow], behaviours: Iterable[BehaviourRow]) -> list[ShownPost]:
    """One user's showings, ordered by (shown_at, exposure_id), with their acts.

    A behaviour answers the showing it names, if that is of the same post; else the latest showing of its post up to its
    moment; else nothing. An act cannot precede its showing: clocks that say so are taken to mean the same moment.
    """
    answered: dict[int, list[BehaviourRow]] = {}
    places = _Places(showings)
    for behaviour in behaviours:
        place = places.answered_by(behaviour)
        if place is not None:
            answered.setdefault(place, []).append(behaviour)
    return [
        ShownPost(
            showing.exposure_id,
            user_id,
            showing.post_id,
            showing.shown_at,
            showing.position,
            _acts(answered[place], showing.shown_at) if place in answered else (),
            _latest_arrival(showing, answered.get(place, ())),
        )
        for place, showing in enumerate(showings)
    ]


def _acts(behaviours: list[BehaviourRow], shown_at: datetime) -> tuple[Act, ...]:
    """The acts in the order of their moments; behaviours of one moment in the order of the kinds."""
    acts: list[tuple[datetime, int, BehaviourKind]] = []
    for behaviour in behaviours:
        number, kind = KINDS[behaviour.kind]
        acts.append((max(behaviour.at, shown_at), number, kind))
    acts.sort()
    return tuple([Act(kind, moment) for moment, _, kind in acts])


def _latest_arrival(showing: ShowingRow, behaviours: Iterable[BehaviourRow]) -> datetime:
    return max([showing.arrived_at, *(behaviour.arrived_at for behaviour in behaviours)])


class _Places:
    """Where in a user's showings an exposure id, or a post at a moment, is found."""

    def __init__(self, showings: Sequence[ShowingRow]) -> None:
        self._showings = showings
        self._of_exposure: dict[str, int] = {}
        self._of_post: dict[str, list[int]] = {}

    def answered_by(self, behaviour: BehaviourRow) -> int | None:
        """Place of the showing that the behaviour answers."""
        if not self._of_exposure:
            self._read()
        named = None if behaviour.exposure_id is None else self._of_exposure.get(behaviour.exposure_id)
        if named is not None and self._showings[named].post_id == behaviour.post_id:
            return named
        places = self._of_post.get(behaviour.post_id, [])
        before = bisect_right(places, behaviour.at, key=lambda place: self._showings[place].shown_at)
        return places[before - 1] if before else None

    def _read(self) -> None:
        """Only when there is a behaviour: most showings have none."""
        for place, showing in enumerate(self._showings):
            self._of_exposure[showing.exposure_id] = place
            self._of_post.setdefault(showing.post_id, []).append(place)
