"""A folder and sizes -> the demo's world in a TUWEN_HOME of its own: posts with pictures, people, a log, an index.

The demo's catalogue is topped up with its own pictures under other titles; pages of the log are drawn at random, and
people act on them as the simulation has it.
"""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

from app.settings import Settings
from demo.catalogue import PAST_DAYS
from demo.files import SEED, DemoFiles, write_files
from demo.phone import Page
from demo.simulator import POSTS_SHOWN, show
from demo.visits import past_visits
from demo.world import World, demo_world
from scripts.bench_processes import say, tuwen


@dataclass(frozen=True)
class Sizes:
    """How much is measured."""

    posts: int = 1000
    people: int = 240
    visits_per_person: float = 9.0
    import_lines: int = 200_000
    import_users: int = 5_000
    pictures: int = 256  # read without the cache
    repeats: int = 5
    ready_batches: int = 6
    requests: int = 2_000
    candidates: tuple[int, ...] = (10_000, 100_000, 1_000_000)
    scaled_requests: int = 2_000
    scaled_users: int = 1_000


TINY = Sizes(
    posts=40,
    people=12,
    visits_per_person=4.0,
    import_lines=300,
    import_users=20,
    pictures=8,
    repeats=2,
    ready_batches=2,
    requests=20,
    candidates=(5_000,),
    scaled_requests=40,
    scaled_users=20,
)


def fresh_settings(home: Path) -> Settings:
    """Embedded stores in this home; threads and plan may come from the environment."""
    return Settings(home=home, database_url=None, redis_url=None, client_key=None, ops_key=None, admin_key=None)


@dataclass(frozen=True)
class BenchWorld:
    """A home that is filled and indexed with the pretrained start."""

    settings: Settings
    world: World
    exposures: int


def filled_home(home: Path, sizes: Sizes) -> BenchWorld:
    """Make the files, import them, index."""
    world = sized_world(sizes)
    files = DemoFiles(home / "files")
    say(f"painting the pictures of {len(world.posts)} posts")
    write_files(files, world, lambda done, total: None)
    log = files.folder / "exposures.jsonl"
    exposures = write_lines(log, log_lines(world, sizes))
    settings = fresh_settings(home / "tuwen")
    tuwen(settings, "import", "--posts", files.posts, "--users", files.users, "--exposures", log)
    tuwen(settings, "reindex")
    return BenchWorld(settings, world, exposures)


def sized_world(sizes: Sizes) -> World:
    """The demo's world with as many posts and people as wanted."""
    now = datetime.now(UTC)
    world = demo_world(SEED, now - timedelta(days=PAST_DAYS))
    posts = list(world.posts[: sizes.posts])
    for number in range(sizes.posts - len(posts)):
        like = world.posts[number % len(world.posts)]
        posts.append(replace(like, post_id=f"more-{number:04d}", title=f"{like.title} {number}"))
    return World(tuple(posts), world.people[: sizes.people], world.began_at)


def log_lines(world: World, sizes: Sizes) -> Iterator[dict[str, object]]:
    """Two weeks of visits, each a page of posts drawn at random."""
    dice = random.Random(f"pages:{SEED}")  # noqa: S311 (a simulation)
    until = world.began_at + timedelta(days=PAST_DAYS)
    for visit in past_visits(world, seed=SEED, until=until, visits_per_person=sizes.visits_per_person):
        rows = dice.sample(world.published_rows(visit.at).tolist(), POSTS_SHOWN)
        page = Page(None, [world.posts[row].post_id for row in rows], None)
        shown = show(world, visit, page, scene="home")
        acts: dict[str, list[dict[str, object]]] = {}
        for act in shown.behaviours:
            acts.setdefault(act["exposure_id"], []).append({"kind": act["kind"], "at": act["at"]})
        for exposure in shown.exposures:
            yield exposure | {"behaviours": acts.get(exposure["exposure_id"], [])}


def write_lines(file: Path, lines: Iterator[dict[str, object]]) -> int:
    """JSON Lines; gives how many."""
    count = 0
    with file.open("w", encoding="utf-8") as out:
        for line in lines:
            out.write(json.dumps(line, ensure_ascii=False) + "\n")
            count += 1
    return count
