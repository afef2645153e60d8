from __future__ import annotations

from collections import defaultdict
from datetime import UTC, datetime, timedelta

import emoji
import pytest

from demo.catalogue import CITIES, MOODS, PAST_DAYS, DemoPost, Mood, demo_posts
from demo.drawing import drawing_path, paint
from demo.titles import ANGLES
from demo.topics import TOPICS

BEGAN = datetime(2026, 3, 1, tzinfo=UTC)


@pytest.fixture(scope="module")
def posts() -> list[DemoPost]:
    return demo_posts(1, BEGAN)


def test_the_same_seed_gives_the_same_posts_and_another_seed_others(posts: list[DemoPost]) -> None:
    assert demo_posts(1, BEGAN) == posts
    assert demo_posts(2, BEGAN) != posts


def test_there_are_several_hundred_posts_with_different_ids(posts: list[DemoPost]) -> None:
    assert 700 <= len(posts) <= 1000
    assert len({post.post_id for post in posts}) == len(posts)


def test_every_emoji_has_a_drawing_and_belongs_to_one_topic_only() -> None:
    symbols = [symbol for topic in TOPICS for symbol in topic.emoji]

    assert len(set(symbols)) == len(symbols)
    assert all(drawing_path(symbol).exists() for symbol in symbols)


def test_half_of_the_titles_is_chinese_and_half_english(posts: list[DemoPost]) -> None:
    chinese = sum(any("\u4e00" <= sign <= "\u9fff" for sign in post.title) for post in posts)

    assert abs(chinese / len(posts) - 0.5) < 0.01


def test_a_title_contains_the_name_of_its_picture(posts: list[DemoPost]) -> None:
    for post in posts:
        names = emoji.EMOJI_DATA[post.emoji]
        english = names["en"].strip(":").replace("_", " ").lower()
        chinese = names["zh"].strip(":").replace("_", "")

        assert english in post.title.lower() or chinese in post.title


def test_some_pictures_appear_with_another_title_and_never_with_the_same_one(posts: list[DemoPost]) -> None:
    titles = defaultdict(list)
    for post in posts:
        titles[post.emoji, post.mood].append(post.title)
    repeated = [several for several in titles.values() if len(several) > 1]

    assert len(repeated) >= 30
    assert all(len(set(several)) == len(several) for several in repeated)


def test_posts_lie_around_their_city_and_are_published_in_the_past_weeks(posts: list[DemoPost]) -> None:
    for post in posts:
        north, east = CITIES[post.city]

        assert abs(post.latitude - north) < 0.3
        assert abs(post.longitude - east) < 0.3
        assert BEGAN - timedelta(days=31) < post.published_at < BEGAN + timedelta(days=PAST_DAYS)


def test_every_aspect_is_used_and_nobody_brings_children_to_a_bar(posts: list[DemoPost]) -> None:
    family = next(index for index, angle in enumerate(ANGLES) if angle == "family")

    assert {post.angle for post in posts} == set(range(len(ANGLES)))
    assert {post.mood for post in posts} == set(range(len(MOODS)))
    assert not [post for post in posts if post.subject.key == "bar" and post.angle == family]


def test_the_mood_changes_the_picture() -> None:
    assert paint("🥐", Mood.SUNNY).startswith(b"\x89PNG")
    assert paint("🥐", Mood.SUNNY) != paint("🥐", Mood.DUSK)
