"""A small world whose right answer is known: every post is about one topic, every account likes one topic.

A post's topic shows in its picture's colour and in its title's words. An account clicks what is of its topic with
probability CLICK_OWN, anything else with CLICK_OTHER; so nothing but the topic can be learnt, and an oracle is at hand.
"""

from __future__ import annotations

import io
import random
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cached_property

from PIL import Image

from app.domain import Act, BehaviourKind, Sample, ShownPost
from app.samples.history import HistoryLimits, samples_of_user

TOPICS = {
    "noodles": ("#c0392b", ["牛肉面", "拉面", "米线", "noodle", "soup"]),
    "beach": ("#2471a3", ["海滩", "日落", "潜水", "beach", "island"]),
    "nails": ("#d98cb3", ["美甲", "指甲油", "护手", "nails", "polish"]),
    "climbing": ("#1e8449", ["攀岩", "登山", "徒步", "climb", "rock"]),
}
CLICK_OWN, CLICK_OTHER = 0.8, 0.08
LIKE_IF_CLICKED = 0.5
FIRST_DAY = datetime(2024, 3, 1, tzinfo=UTC)


@dataclass(frozen=True)
class ToyPost:
    post_id: str
    topic: str
    title: str


@dataclass(frozen=True)
class ToyWorld:
    seed: int = 0
    posts_count: int = 80
    users_count: int = 60
    showings_each: int = 40

    @cached_property
    def posts(self) -> list[ToyPost]:
        chance = random.Random(self.seed)
        topics = list(TOPICS)
        made = []
        for number in range(self.posts_count):
            topic = topics[number % len(topics)]
            words = chance.sample(TOPICS[topic][1], 2)
            made.append(ToyPost(f"p{number}", topic, f"{words[0]} {words[1]} {number}"))
        return made

    def topic_of_user(self, user_id: str) -> str:
        return list(TOPICS)[int(user_id[1:]) % len(TOPICS)]

    def topic_of_post(self, post_id: str) -> str:
        return self.posts[int(post_id[1:])].topic

    def picture(self, post: ToyPost) -> bytes:
        """A flat picture in the topic's colour, a little different for every post."""
        chance = random.Random(f"{self.seed} {post.post_id}")
        picture = Image.new("RGB", (48, 48), TOPICS[post.topic][0])
        for _ in range(40):
            picture.putpixel((chance.randrange(48), chance.randrange(48)), tuple(chance.randbytes(3)))
        content = io.BytesIO()
        picture.save(content, "PNG")
        return content.getvalue()

    @cached_property
    def log(self) -> dict[str, list[ShownPost]]:
        """What every account was shown, oldest first, with what it did."""
        return {f"u{number}": self._showings(f"u{number}") for number in range(self.users_count)}

    def _showings(self, user_id: str) -> list[ShownPost]:
        chance = random.Random(f"{self.seed} {user_id}")
        shown = []
        moment = FIRST_DAY + timedelta(minutes=chance.randrange(600))
        for number, post in enumerate(chance.choices(self.posts, k=self.showings_each)):
            moment += timedelta(minutes=chance.randrange(1, 240))
            acts = self._acts(user_id, post, moment, chance)
            shown.append(ShownPost(f"{user_id}-{number}", user_id, post.post_id, moment, number % 10, acts))
        return shown

    def _acts(self, user_id: str, post: ToyPost, moment: datetime, chance: random.Random) -> tuple[Act, ...]:
        likely = CLICK_OWN if post.topic == self.topic_of_user(user_id) else CLICK_OTHER
        if chance.random() >= likely:
            return ()
        click = Act(BehaviourKind.CLICK, moment + timedelta(seconds=5))
        if chance.random() >= LIKE_IF_CLICKED:
            return (click,)
        return click, Act(BehaviourKind.LIKE, moment + timedelta(seconds=20))

    def samples(self, limits: HistoryLimits | None = None, *, labels_of: random.Random | None = None) -> list[Sample]:
        """Samples of all accounts by time; with `labels_of`, what each account did is dealt out anew at random."""
        log = self.log if labels_of is None else self._shuffled(labels_of)
        found = [sample for shown in log.values() for sample in samples_of_user(shown, limits or HistoryLimits())]
        return sorted(found, key=lambda sample: sample.shown_at)

    def _shuffled(self, chance: random.Random) -> dict[str, list[ShownPost]]:
        """The same showings; whether and how each was acted on now belongs to any showing of anyone."""
        everything = [showing for shown in self.log.values() for showing in shown]
        delays = [[(act.kind, act.at - showing.shown_at) for act in showing.acts] for showing in everything]
        chance.shuffle(delays)
        dealt: dict[str, list[ShownPost]] = {}
        for showing, acts in zip(everything, delays, strict=True):
            moved = tuple(Act(kind, showing.shown_at + delay) for kind, delay in acts)
            again = ShownPost(
                showing.exposure_id, showing.user_id, showing.post_id, showing.shown_at, showing.position, moved
            )
            dealt.setdefault(showing.user_id, []).append(again)
        return dealt

    def import_lines(self) -> tuple[list[dict], list[dict], list[dict]]:
        """Posts (without pictures), users and exposures as they stand in import files."""
        posts = [{"post_id": post.post_id, "title": post.title, "category": post.topic} for post in self.posts]
        users = [{"user_id": user_id, "attributes": {"age": 20 + len(user_id)}} for user_id in self.log]
        exposures = [
            {
                "exposure_id": showing.exposure_id,
                "user_id": showing.user_id,
                "post_id": showing.post_id,
                "shown_at": showing.shown_at.isoformat(),
                "position": showing.position,
                "behaviours": [{"kind": act.kind.value, "at": act.at.isoformat()} for act in showing.acts],
            }
            for shown in self.log.values()
            for showing in shown
        ]
        return posts, users, exposures
