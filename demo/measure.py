"""A running service and the world's truth -> how good its recommendations are: the true click rate of its first posts.

`python -m demo.measure` prints it for the demo that runs now, beside the rate of random posts and the best possible.
"""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

import numpy as np

from app.errors import TuwenError
from app.settings import load_settings
from demo.files import DemoFiles, open_beginning
from demo.keys import demo_keys
from demo.people import Person
from demo.phone import Phone
from demo.world import World

COUNT = 10  # posts of a list that are measured
PEOPLE_MEASURED = 120


@dataclass(frozen=True, slots=True)
class Rate:
    """Mean over people of the true click rate of a list, and the standard error of that mean."""

    mean: float
    error: float

    @classmethod
    def of(cls, rates: Sequence[float]) -> Rate:
        """Of one rate per person."""
        return cls(float(np.mean(rates)), float(np.std(rates) / np.sqrt(len(rates))))

    def __str__(self) -> str:
        return f"{self.mean:.3f} ± {self.error:.3f}"


async def served_rate(world: World, phone: Phone, people: Sequence[Person], *, moment: datetime) -> Rate:
    """Of what the service recommends now; a person for whom it finds nothing counts as 0."""
    rates = []
    for person in people:
        page = await phone.recommend(person.user_id, count=COUNT)
        rates.append(world.true_click_rate(person.user_id, page.post_ids, moment) if page.post_ids else 0.0)
    return Rate.of(rates)


def random_rate(world: World, people: Sequence[Person], *, moment: datetime) -> Rate:
    """Of posts drawn at random."""
    return Rate.of([float(world.click_chances(person, moment).mean()) for person in people])


def best_rate(world: World, people: Sequence[Person], *, moment: datetime) -> Rate:
    """Of the posts a person likes most, were nothing seen yet: no recommender can do better."""
    return Rate.of([float(np.sort(world.click_chances(person, moment))[-COUNT:].mean()) for person in people])


async def _measure() -> str:
    settings = load_settings()
    now = datetime.now(UTC)
    world = open_beginning(DemoFiles(settings.home / "demo"), now).world
    people = world.people[:PEOPLE_MEASURED]
    phone = Phone(f"http://{settings.host}:{settings.port}", key=demo_keys(settings).client)
    try:
        served = await served_rate(world, phone, people, moment=now)
    finally:
        await phone.aclose()
    floor, ceiling = random_rate(world, people, moment=now), best_rate(world, people, moment=now)
    return f"true click rate of the first {COUNT}: served {served} (random {floor}, best possible {ceiling})"


def main() -> int:
    """Measure the demo that runs on these settings."""
    try:
        print(asyncio.run(_measure()))
    except TuwenError as problem:
        print(problem, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
