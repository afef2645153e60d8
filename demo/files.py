"""A world -> the import files `tuwen import` reads: posts.jsonl with pictures beside it, and users.jsonl."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from app.errors import BadSettings
from demo.catalogue import CREDIT, LICENCE, MOODS, PAST_DAYS, DemoPost
from demo.drawing import paint
from demo.people import Person
from demo.world import World, demo_world

Progress = Callable[[int, int], None]  # done, of how many
SEED = 1
EARLIER_FEED_DAYS = 4.0  # from the first day on: the feed the app had before
TEST_DAYS = 1.5  # back from the last moment: a little more than the slice the trainer holds out


@dataclass(frozen=True, slots=True)
class DemoFiles:
    """Where the demo keeps its files; the world they came from can be made again from `beginning.json`."""

    folder: Path

    @property
    def posts(self) -> Path:
        """Posts, one JSON object a line; written last, so its presence means that all pictures are there."""
        return self.folder / "posts.jsonl"

    @property
    def users(self) -> Path:
        """Simulated people, one JSON object a line."""
        return self.folder / "users.jsonl"

    @property
    def beginning(self) -> Path:
        """Seed and first moment of the world."""
        return self.folder / "beginning.json"

    def replayed_until(self) -> datetime | None:
        """How much of the past the service has been told; None before the first of it."""
        path = self.folder / "replayed"
        return datetime.fromisoformat(path.read_text(encoding="utf-8")) if path.exists() else None

    def note_replayed(self, until: datetime) -> None:
        """Remember it, for a start after an interrupted one."""
        _write(self.folder / "replayed", until.isoformat())


@dataclass(frozen=True, slots=True)
class Beginning:
    """From which the whole simulation can be made again."""

    seed: int
    began_at: datetime  # UTC, aware: first moment of the replayed past
    live_from: datetime  # UTC, aware: its end

    @property
    def served(self) -> tuple[datetime, datetime]:
        """The part of the past whose pages come from the service; before and after it they are random."""
        return self.began_at + timedelta(days=EARLIER_FEED_DAYS), self.live_from - timedelta(days=TEST_DAYS)

    @property
    def world(self) -> World:
        """Posts, people and what they like."""
        return demo_world(self.seed, self.began_at)


def open_beginning(files: DemoFiles, now: datetime) -> Beginning:
    """That of an earlier start, or a new one whose past ends now.

    Raises BadSettings when the earlier start was of a version with another catalogue: its log tells of other posts.
    """
    if files.beginning.exists():
        kept = json.loads(files.beginning.read_text(encoding="utf-8"))
        times = (datetime.fromisoformat(kept[name]) for name in ("began_at", "live_from"))
        beginning = Beginning(int(kept["seed"]), *times)
        if kept.get("catalogue") != fingerprint(beginning.world):
            home = files.folder.parent
            raise BadSettings(f"TUWEN_HOME: {home} holds the demo of another version; remove it or name another folder")
        return beginning
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    beginning = Beginning(SEED, began_at=midnight - timedelta(days=PAST_DAYS - 1), live_from=now.astimezone(UTC))
    files.folder.mkdir(parents=True, exist_ok=True)
    kept = {
        "seed": SEED,
        "began_at": beginning.began_at.isoformat(),
        "live_from": beginning.live_from.isoformat(),
        "catalogue": fingerprint(beginning.world),
    }
    _write(files.beginning, json.dumps(kept))
    return beginning


def fingerprint(world: World) -> str:
    """Tells one catalogue from another: SHA-256 of its ids, titles and pictures."""
    words = [f"{post.post_id} {post.title} {picture_name(post)}" for post in world.posts]
    return hashlib.sha256("\n".join(words).encode()).hexdigest()


def write_files(files: DemoFiles, world: World, progress: Progress) -> None:
    """Paint what is missing and write both lists; a second call changes nothing."""
    pictures = files.folder / "pictures"
    pictures.mkdir(parents=True, exist_ok=True)
    for done, post in enumerate(world.posts, start=1):
        picture = pictures / picture_name(post)
        if not picture.exists():
            fresh = picture.with_suffix(".new")
            fresh.write_bytes(paint(post.emoji, MOODS[post.mood]))
            fresh.replace(picture)
        progress(done, len(world.posts))
    _write(files.users, "".join(json.dumps(user_line(one), ensure_ascii=False) + "\n" for one in world.people))
    _write(files.posts, "".join(json.dumps(post_line(one), ensure_ascii=False) + "\n" for one in world.posts))


def picture_name(post: DemoPost) -> str:
    """File name of a post's picture: the emoji's code points and the mood."""
    return "-".join(f"{ord(sign):x}" for sign in post.emoji) + f"-{MOODS[post.mood]}.png"


def post_line(post: DemoPost) -> dict[str, object]:
    """A post as a line of posts.jsonl."""
    return {
        "post_id": post.post_id,
        "title": post.title,
        "picture": f"pictures/{picture_name(post)}",
        "category": post.subject.category,
        "city": post.city,
        "latitude": post.latitude,
        "longitude": post.longitude,
        "author_id": post.author_id,
        "tags": [post.subject.zh],
        "published_at": post.published_at.isoformat(),
        "expires_at": None,
        "attributes": {"credit": CREDIT, "licence": LICENCE},
    }


def user_line(person: Person) -> dict[str, object]:
    """A person as a line of users.jsonl."""
    return {"user_id": person.user_id, "attributes": dict(person.attributes)}


def _write(path: Path, text: str) -> None:
    fresh = path.with_suffix(".new")
    fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)
