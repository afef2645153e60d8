"""Posts and people -> the truth of the simulation: who would click what, and what happens when a page is shown.

The truth is known here and nowhere else, so it can measure a recommender: `true_click_rate` of the lists it makes.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from app.domain import BehaviourKind
from demo.catalogue import DemoPost, demo_posts
from demo.people import Person, demo_people
from demo.titles import ANGLES, Angle
from demo.topics import TOPICS

Float = NDArray[np.float64]
Int = NDArray[np.int64]

# Log-odds of a click on a post that is looked at.
BASE = -5.0
FAVOURITE_TOPIC = 5.6
FAVOURITE_GROUP = 4.8  # another topic of a favourite's group
OWN_CITY = 0.5

# Chance of each further act after a click that pleased fully, and how long after the click it comes, in seconds.
ACTS_AFTER_CLICK: tuple[tuple[BehaviourKind, float, float], ...] = (
    (BehaviourKind.LIKE, 0.45, 8.0),
    (BehaviourKind.SHARE, 0.10, 25.0),
    (BehaviourKind.FAVOURITE, 0.22, 14.0),
    (BehaviourKind.COMMENT, 0.08, 40.0),
)
# What the title promises makes people do other things with a post: bargains are passed on, a date is kept for later,
# what locals know is talked about. Times the chance, in the order of ACTS_AFTER_CLICK.
ACTS_BY_ANGLE: dict[Angle, tuple[float, float, float, float]] = {
    Angle.BARGAIN: (0.8, 2.6, 0.8, 0.7),
    Angle.FAMILY: (1.1, 1.2, 1.0, 0.9),
    Angle.DATE: (1.0, 0.5, 2.0, 0.5),
    Angle.QUIET: (1.2, 0.4, 0.9, 0.6),
    Angle.NEW: (0.9, 0.9, 1.3, 1.2),
    Angle.LOCAL: (1.0, 0.6, 0.5, 2.4),
}
MOST_LIKELY = 0.95  # of any further act
SECONDS_PER_LOOK = 2.0


@dataclass(frozen=True, slots=True)
class Doing:
    """One act of a person on a page."""

    place: int  # index of the post on the page, 0 = first
    kind: BehaviourKind
    seconds_after_shown: float


def _sigmoid(log_odds: Float) -> Float:
    return np.asarray(1 / (1 + np.exp(-log_odds)))


@dataclass(frozen=True)
class World:
    """Everything that is true of the simulation."""

    posts: tuple[DemoPost, ...]
    people: tuple[Person, ...]
    began_at: datetime  # UTC, aware: first moment of the replayed past

    @cached_property
    def row_of(self) -> dict[str, int]:
        """Post id -> row of every array of posts."""
        return {post.post_id: row for row, post in enumerate(self.posts)}

    @cached_property
    def person_of(self) -> dict[str, Person]:
        """User id -> person."""
        return {person.user_id: person for person in self.people}

    @cached_property
    def _aspects(self) -> tuple[Int, Int, Int, Int, Float]:
        """Topic, group, angle, mood as codes, and appeal as log-odds: each (posts,)."""
        groups = sorted({topic.group for topic in TOPICS})
        return (
            np.array([post.topic for post in self.posts], np.int64),
            np.array([groups.index(post.subject.group) for post in self.posts], np.int64),
            np.array([post.angle for post in self.posts], np.int64),
            np.array([post.mood for post in self.posts], np.int64),
            np.array([post.appeal for post in self.posts], np.float64),
        )

    @cached_property
    def _published(self) -> Float:
        """Unix seconds, (posts,)."""
        return np.array([post.published_at.timestamp() for post in self.posts])

    def published_rows(self, moment: datetime) -> Int:
        """Rows of the posts that existed at a moment, (m,)."""
        return np.flatnonzero(self._published <= moment.timestamp())

    def click_chances(self, person: Person, moment: datetime) -> Float:
        """Chance of a click on each post if the person looks at it, (posts,) in [0, 1]."""
        topics, groups, angles, moods, appeal = self._aspects
        favourite = np.isin(topics, list(person.topics_at(moment, self.began_at)))
        related = np.isin(groups, np.unique(groups[favourite])) & ~favourite
        own_city = np.array([post.city == person.city for post in self.posts])
        log_odds = (
            BASE
            + person.eagerness
            + FAVOURITE_TOPIC * favourite
            + FAVOURITE_GROUP * related
            + OWN_CITY * own_city
            + np.asarray(person.angle_taste)[angles]
            + np.asarray(person.mood_taste)[moods]
            + appeal
        )
        return _sigmoid(log_odds)

    def act_chances(self, person: Person, moment: datetime) -> Float:
        """Chance of each behaviour on each post if the person looks at it, (posts, kinds) in BEHAVIOUR_KINDS order."""
        clicks = self.click_chances(person, moment)
        after = self._after_click(person) * (0.4 + 0.6 * clicks[:, None])
        return np.concatenate([clicks[:, None], clicks[:, None] * np.minimum(MOST_LIKELY, after)], axis=1)

    def _after_click(self, person: Person) -> Float:
        """Chance of each further act after a click that pleased fully, (posts, acts)."""
        usual = np.array([chance for _, chance, _ in ACTS_AFTER_CLICK])
        by_angle = np.array([ACTS_BY_ANGLE[angle] for angle in ANGLES])
        return np.asarray(usual * by_angle[self._aspects[2]] * np.asarray(person.act_taste))

    def true_click_rate(self, user_id: str, post_ids: Sequence[str], moment: datetime) -> float:
        """Mean chance of a click over a list, were each of its posts looked at; NaN for an empty list."""
        if not post_ids:
            return float("nan")
        rows = [self.row_of[post_id] for post_id in post_ids]
        return float(self.click_chances(self.person_of[user_id], moment)[rows].mean())

    def visit(self, person: Person, page: Sequence[str], *, moment: datetime, dice: random.Random) -> list[Doing]:
        """What the person does on a page of post ids shown at `moment`; lower places are looked at less."""
        chances = self.act_chances(person, moment)
        doings: list[Doing] = []
        for place, post_id in enumerate(page):
            if place and dice.random() > person.patience:
                break
            of_post = chances[self.row_of[post_id]]
            if dice.random() < of_post[0]:
                doings.extend(_acts(place, of_post[1:] / of_post[0], dice))
        return doings


def look_chances(person: Person, places: int) -> Float:
    """Chance that the person looks at each place of a page at all, (places,)."""
    return np.asarray(person.patience ** np.arange(places))


def _acts(place: int, chances: Float, dice: random.Random) -> list[Doing]:
    """A click, and what follows it by these chances (acts,): the more the post pleases, the more."""
    clicked = SECONDS_PER_LOOK * (place + 1) + dice.uniform(0, SECONDS_PER_LOOK)
    further = [
        Doing(place, kind, clicked + dice.uniform(0.5, 1.5) * delay_seconds)
        for (kind, _, delay_seconds), chance in zip(ACTS_AFTER_CLICK, chances.tolist(), strict=True)
        if dice.random() < chance
    ]
    return [Doing(place, BehaviourKind.CLICK, clicked), *further]


def demo_world(seed: int, began_at: datetime) -> World:
    """The whole simulation of a seed."""
    return World(tuple(demo_posts(seed, began_at)), tuple(demo_people(seed)), began_at)


def small_world(seed: int, began_at: datetime, *, topics: int, people: int) -> World:
    """The posts of the first few topics and some people, whose favourites are among these topics."""
    whole = demo_world(seed, began_at)
    posts = tuple(post for post in whole.posts if post.topic < topics)
    some = [
        replace(
            person,
            favourites=tuple(
                replace(one, topics=tuple(topic % topics for topic in one.topics)) for one in person.favourites
            ),
        )
        for person in whole.people[:people]
    ]
    return World(posts, tuple(some), began_at)
