"""A seed -> simulated people: attributes, and hidden tastes that drift. Pure; nothing here is told to the recommender
but the attributes.
"""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from math import exp

from demo.catalogue import CITIES, MOODS
from demo.titles import ANGLES
from demo.topics import TOPICS

PEOPLE = 240
FAVOURITES = 3  # topics a person is after at one time
FAVOURITE_LASTS_DAYS = (12.0, 40.0)  # a favourite gives way to the next one after so long
FAVOURITES_AHEAD = 24  # how far the drift is drawn ahead; then it starts over
ACTS_BESIDE_CLICK = 4
OF_ONE_S_KIND_SHARE = 0.6  # favourites that come from the occupation's list

SURNAMES = "王李张刘陈杨赵黄周吴徐孙胡朱高林何郭马罗"
GIVEN_NAMES = (
    *("晓", "子涵", "思琪", "雨桐", "浩然", "佳怡", "欣然", "宇轩", "梦洁", "志远", "静", "明"),
    *("婷", "俊杰", "雪", "海燕", "文博", "丽", "晨", "安娜", "一诺", "嘉", "可欣", "建国"),
)

# What people of an occupation tend to like: real enough that matching attributes tell something.
OCCUPATIONS: dict[str, tuple[str, ...]] = {
    "student": ("games", "fast_food", "coffee_tea", "film_books", "ball_games", "festivals"),
    "engineer": ("gadgets", "games", "workshop", "rail_bus", "noodles_rice", "fitness"),
    "designer": ("crafts", "coffee_tea", "film_books", "clothes", "sights", "home"),
    "teacher": ("film_books", "flowers", "music", "fruit", "sights", "small_animals"),
    "nurse": ("make_up", "sweets", "cats_dogs", "bakery", "clothes", "stays"),
    "chef": ("grill", "greens", "noodles_rice", "bar", "farm", "road"),
    "driver": ("road", "fast_food", "ball_games", "wild_places", "workshop", "music"),
    "manager": ("stays", "bar", "sea_air", "jewellery", "fitness", "grill"),
    "retired": ("plants", "flowers", "greens", "zoo", "coffee_tea", "sea_birds"),
    "parent": ("zoo", "fair", "farm", "bakery", "festivals", "small_animals"),
}
AGES: dict[str, tuple[int, int]] = {"student": (18, 25), "retired": (60, 78)}
USUAL_AGES = (23, 58)


@dataclass(frozen=True, slots=True)
class Favourite:
    """A place in a person's heart, held by one topic after another."""

    topics: tuple[int, ...]  # indices into TOPICS, in the order of time
    lasts_days: float
    phase: float  # share of the first one's time that had passed at the start

    def topic_at(self, days_since_start: float) -> int:
        """Index of the topic that holds it now."""
        turn = int(days_since_start / self.lasts_days + self.phase)
        return self.topics[turn % len(self.topics)]


@dataclass(frozen=True, slots=True)
class Person:
    """A simulated person. Tastes are log-odds added to those of a click."""

    user_id: str
    name: str
    age: int
    gender: str
    city: str
    occupation: str
    favourites: tuple[Favourite, ...]
    angle_taste: tuple[float, ...]  # one per angle of the titles
    mood_taste: tuple[float, ...]  # one per mood of the pictures
    patience: float  # chance to look at the next post of a page, given that this one was looked at
    eagerness: float  # log-odds, for every post
    act_taste: tuple[float, ...]  # of like, share, favourite and comment: times the usual chance after a click

    @property
    def attributes(self) -> Mapping[str, object]:
        """What the app knows and tells the recommender."""
        return {
            "age": self.age,
            "gender": self.gender,
            "city": self.city,
            "occupation": self.occupation,
            # Nested, so that it counts as no trait by which people are matched.
            "profile": {"name": self.name, "simulated": True},
        }

    def topics_at(self, moment: datetime, began_at: datetime) -> frozenset[int]:
        """Indices of the topics the person is after at a moment."""
        days = max(0.0, (moment - began_at).total_seconds() / 86_400)
        return frozenset(favourite.topic_at(days) for favourite in self.favourites)


def _favourite(occupation: str, dice: random.Random) -> Favourite:
    usual = [index for index, topic in enumerate(TOPICS) if topic.key in OCCUPATIONS[occupation]]
    topics = tuple(
        dice.choice(usual) if dice.random() < OF_ONE_S_KIND_SHARE else dice.randrange(len(TOPICS))
        for _ in range(FAVOURITES_AHEAD)
    )
    return Favourite(topics, lasts_days=dice.uniform(*FAVOURITE_LASTS_DAYS), phase=dice.random())


def _person(number: int, dice: random.Random, act_dice: random.Random) -> Person:
    occupation = dice.choice(list(OCCUPATIONS))
    return Person(
        user_id=f"person-{number:03d}",
        name=dice.choice(SURNAMES) + dice.choice(GIVEN_NAMES),
        age=dice.randint(*AGES.get(occupation, USUAL_AGES)),
        gender=dice.choice("FM"),
        city=dice.choice(list(CITIES)),
        occupation=occupation,
        favourites=tuple(_favourite(occupation, dice) for _ in range(FAVOURITES)),
        angle_taste=tuple(dice.gauss(0, 0.7) for _ in ANGLES),
        mood_taste=tuple(dice.gauss(0, 0.5) for _ in MOODS),
        patience=dice.uniform(0.86, 0.97),
        eagerness=dice.gauss(0, 0.3),
        act_taste=tuple(exp(act_dice.gauss(0, 0.4)) for _ in range(ACTS_BESIDE_CLICK)),
    )


def demo_people(seed: int) -> list[Person]:
    """All simulated people; the same seed gives the same ones."""
    dice = random.Random(f"people:{seed}")  # noqa: S311 (a simulation)
    act_dice = random.Random(f"acts:{seed}")  # noqa: S311 (a simulation)
    return [_person(number, dice, act_dice) for number in range(1, PEOPLE + 1)]
