"""A world -> when each person opens the app during the replayed past."""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta

from demo.people import Person
from demo.world import World

USUAL_HOURS = (0, 4, 5, 10, 12, 13, 14)  # UTC; breakfast, noon and the evening in China
HOUR_SPREAD = 2.0


@dataclass(frozen=True, slots=True)
class Visit:
    """A person opens the app."""

    at: datetime  # UTC, aware
    person: Person


def past_visits(world: World, *, seed: int, until: datetime, visits_per_person: float) -> list[Visit]:
    """All visits from the world's first day to `until`, over all people in the order of time."""
    dice = random.Random(f"visits:{seed}")  # noqa: S311 (a simulation)
    days = (until - world.began_at).days + 1
    visits: list[Visit] = []
    for person in world.people:
        usual_hour = dice.choice(USUAL_HOURS)
        for _ in range(max(2, round(dice.gauss(visits_per_person, visits_per_person / 4)))):
            hour = dice.gauss(usual_hour, HOUR_SPREAD) % 24
            at = world.began_at + timedelta(days=dice.randrange(days), hours=hour)
            visits.append(Visit(at, person))
    return sorted((visit for visit in visits if visit.at < until), key=lambda visit: (visit.at, visit.person.user_id))
