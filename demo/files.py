"""A world -> the import files `tuwen import` reads: posts.jsonl with pictures beside it, and users.jsonl."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from demo.catalogue import CREDIT, LICENCE, MOODS, PAST_DAYS, DemoPost
from demo.drawing import paint
from demo.people import Person
from demo.world import World, demo_world

Progress = Callable[[int, int], None]  # done, of how many
SEED = 1


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


def open_world(files: DemoFiles, now: datetime) -> World:
    """The world of an earlier start, or a new one whose past ends today."""
    if files.beginning.exists():
        kept = json.loads(files.beginning.read_text(encoding="utf-8"))
        return demo_world(int(kept["seed"]), datetime.fromisoformat(kept["began_at"]))
    midnight = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    world = demo_world(SEED, midnight - timedelta(days=PAST_DAYS - 1))
    files.folder.mkdir(parents=True, exist_ok=True)
    _write(files.beginning, json.dumps({"seed": SEED, "began_at": world.began_at.isoformat()}))
    return world


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
