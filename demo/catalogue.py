"""A seed and a start -> the demo's posts: real pictures (OpenMoji) with real names (Unicode), city, author and dates.

Pure: the same seed and start give the same posts. `demo/drawing.py` paints the pictures, `demo/files.py` writes
the import files.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

import emoji

from demo.titles import ANGLES, Angle, en_title, zh_title
from demo.topics import TOPICS, Topic

LICENCE = "CC BY-SA 4.0"
CREDIT = "OpenMoji"
CITIES: dict[str, tuple[float, float]] = {  # degrees north, degrees east of the centre
    "上海": (31.230, 121.474),
    "北京": (39.904, 116.407),
    "成都": (30.572, 104.066),
    "广州": (23.129, 113.264),
    "杭州": (30.274, 120.155),
}
CITY_SPREAD_DEGREES = 0.05
AUTHORS = 80
SAME_PICTURE_OTHER_TITLE = 60  # posts that repeat a picture under another title
SAME_SUBJECT_OTHER_MOOD = 90  # posts that show a subject again, painted in another mood
PUBLISHED_BEFORE_START_SHARE = 0.75
OLDEST_DAYS = 30.0
UNFIT: dict[str, frozenset[Angle]] = {"bar": frozenset({Angle.FAMILY}), "make_up": frozenset({Angle.FAMILY})}
PAST_DAYS = 14.0  # length of the replayed past


class Mood(StrEnum):
    """The background a picture is painted on: an aspect that stands in the picture alone."""

    SUNNY = "sunny"
    MINT = "mint"
    SKY = "sky"
    ROSE = "rose"
    DUSK = "dusk"


MOODS: tuple[Mood, ...] = tuple(Mood)


@dataclass(frozen=True, slots=True)
class DemoPost:
    """A post as the recommender will see it, and the three hidden aspects that decide who likes it."""

    post_id: str
    title: str
    emoji: str
    city: str
    latitude: float
    longitude: float
    author_id: str
    published_at: datetime  # UTC, aware
    topic: int  # index into TOPICS
    angle: int  # index into ANGLES; told by the title alone
    mood: int  # index into MOODS; told by the picture alone
    appeal: float  # log-odds; how well made it is, for everybody

    @property
    def subject(self) -> Topic:
        """Its topic."""
        return TOPICS[self.topic]


@dataclass(frozen=True, slots=True)
class _Drawing:
    """A picture to be made a post of."""

    emoji: str
    topic: int
    mood: int


def names_of(symbol: str) -> tuple[str, str]:
    """English and Chinese name of an emoji, as Unicode gives them."""
    names = emoji.EMOJI_DATA[symbol]
    return names["en"].strip(":").replace("_", " "), names["zh"].strip(":").replace("_", "")


def _drawings(dice: random.Random) -> list[_Drawing]:
    every = [
        _Drawing(symbol, topic, dice.randrange(len(MOODS))) for topic, one in enumerate(TOPICS) for symbol in one.emoji
    ]
    repainted = [
        _Drawing(one.emoji, one.topic, (one.mood + dice.randrange(1, len(MOODS))) % len(MOODS))
        for one in dice.sample(every, SAME_SUBJECT_OTHER_MOOD)
    ]
    retitled = dice.sample(every, SAME_PICTURE_OTHER_TITLE)
    drawings = every + repainted + retitled
    dice.shuffle(drawings)
    return drawings


def _published_at(began_at: datetime, dice: random.Random) -> datetime:
    if dice.random() < PUBLISHED_BEFORE_START_SHARE:
        return began_at - timedelta(days=dice.uniform(0.1, OLDEST_DAYS))
    return began_at + timedelta(days=dice.uniform(0, PAST_DAYS - 0.5))


def _unused_angle(taken: set[tuple[_Drawing, int]], drawing: _Drawing, dice: random.Random) -> int:
    """An angle this picture does not have yet, so that two posts with one picture differ in their titles."""
    barred = UNFIT.get(TOPICS[drawing.topic].key, frozenset())
    angle = dice.choice([a for a, one in enumerate(ANGLES) if (drawing, a) not in taken and one not in barred])
    taken.add((drawing, angle))
    return angle


def demo_posts(seed: int, began_at: datetime) -> list[DemoPost]:
    """All posts of the demo. `began_at` is the first moment of the replayed past."""
    emoji.config.load_language(["en", "zh"])
    dice = random.Random(f"catalogue:{seed}")  # noqa: S311 (a simulation)
    posts: list[DemoPost] = []
    taken: set[tuple[_Drawing, int]] = set()
    for number, drawing in enumerate(_drawings(dice), start=1):
        english, chinese = names_of(drawing.emoji)
        angle = _unused_angle(taken, drawing, dice)
        topic = TOPICS[drawing.topic]
        title = (
            zh_title(chinese, topic, angle=ANGLES[angle], dice=dice)
            if number % 2
            else en_title(english, angle=ANGLES[angle], dice=dice)
        )
        city = dice.choice(list(CITIES))
        north, east = CITIES[city]
        posts.append(
            DemoPost(
                post_id=f"demo-{number:04d}",
                title=title,
                emoji=drawing.emoji,
                city=city,
                latitude=round(dice.gauss(north, CITY_SPREAD_DEGREES), 5),
                longitude=round(dice.gauss(east, CITY_SPREAD_DEGREES), 5),
                author_id=f"author-{dice.randrange(AUTHORS):02d}",
                published_at=_published_at(began_at, dice),
                topic=drawing.topic,
                angle=angle,
                mood=drawing.mood,
                appeal=dice.gauss(0, 0.35),
            )
        )
    return posts
