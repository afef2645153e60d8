"""A real generation -> generations of many posts, its vectors jittered; and users with long histories to ask for.

The posts of the real generation are among them under their own ids, so that the log's users keep their references.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from app.candidates.columns import PostColumns
from app.candidates.generation import Contents, GenerationFolder
from app.candidates.index import build_lists
from app.candidates.recall import calibrated, sampled_requests
from app.domain import Post
from app.settings import Settings
from scripts.bench_processes import tuwen
from scripts.bench_world import BenchWorld, write_lines

USERS, HISTORY, REFERENCES = 200, 50, 30
JITTER, BADLY = 0.4, 2.0  # length of the noise beside a vector's 1
SEED = 7
CITIES = 20

Float32 = NDArray[np.float32]


def with_long_histories(made: BenchWorld) -> list[str]:
    """Import users who were shown HISTORY posts each and acted on REFERENCES of them; gives their ids."""
    users = [f"reader-{number:03d}" for number in range(USERS)]
    file = made.settings.home / "readers.jsonl"
    write_lines(file, _log_lines(users, [post.post_id for post in made.world.posts]))
    tuwen(made.settings, "import", "--exposures", file)
    return users


def _log_lines(users: list[str], post_ids: list[str]) -> Iterator[dict[str, object]]:
    """A reader's posts stand near each other in the catalogue: a few tastes each."""
    dice = random.Random(SEED)  # noqa: S311 (a simulation)
    now = datetime.now(UTC)
    for user in users:
        tastes = [dice.randrange(len(post_ids)) for _ in range(5)]
        shown = dice.sample(sorted({(taste + step) % len(post_ids) for taste in tastes for step in range(30)}), HISTORY)
        for number, place in enumerate(shown):
            at = now - timedelta(minutes=30 * (HISTORY - number))
            acts = [{"kind": "click", "at": (at + timedelta(minutes=1)).isoformat()}] if number < REFERENCES else []
            yield {"user_id": user, "post_id": post_ids[place], "shown_at": at.isoformat(), "behaviours": acts}


def jittered(vectors: Float32, count: int, *, jitter: float) -> Float32:
    """`count` unit vectors (count, width): the given ones (posts, width), then noisy copies of them."""
    dice = np.random.default_rng(SEED)
    width = vectors.shape[1]
    like = np.concatenate([np.arange(len(vectors)), dice.integers(len(vectors), size=max(0, count - len(vectors)))])
    found: Float32 = vectors[like[:count]]
    noise = dice.standard_normal((max(0, count - len(vectors)), width), dtype=np.float32)
    found[len(vectors) :] += np.float32(jitter / width**0.5) * noise
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return found


def grown_generation(settings: Settings, count: int) -> str:
    """Write and promote a generation of `count` posts made of the first real one; gives its id."""
    folder = GenerationFolder(settings.generations)
    real = folder.load(folder.ids()[0])
    vectors = jittered(np.asarray(real.vectors), count, jitter=JITTER)
    quality = np.resize(real.quality, count)
    order, index = build_lists(vectors, quality)
    vectors, quality = vectors[order], quality[order]
    posts = [_post(real.columns, row) for row in order.tolist()]
    matching = real.network.matching
    ids = [post.post_id for post in posts]
    requests = sampled_requests(matching, ids, _references(ids))
    contents = Contents(
        network=real.network,
        columns=PostColumns.of(posts),
        hidden=np.zeros(count, bool),
        vectors=vectors,
        quality=quality,
        index=calibrated(index, vectors, quality, requests, tau=matching.tau.item()),
        popular=real.popular,
        plan=real.plan,
        report={"origin": "start"},
        curves=None,
    )
    generation = folder.write(contents, origin="start", parent=None, changes_until=datetime.now(UTC))
    folder.promote(generation)
    return generation


def _references(post_ids: list[str]) -> list[list[str]]:
    """References as the readers have them: real posts of a few tastes."""
    real = sorted(one for one in post_ids if not one.startswith("grown-"))
    lines: dict[str, list[str]] = {}
    for line in _log_lines([f"sample-{number}" for number in range(32)], real):
        if line["behaviours"]:
            lines.setdefault(str(line["user_id"]), []).append(str(line["post_id"]))
    return list(lines.values())


def _post(columns: PostColumns, row: int) -> Post:
    """The real post of that row, or one that was grown from one of them."""
    like = row % len(columns)
    post = Post(
        columns.post_ids[like],
        columns.titles[like],
        picture_hash=columns.picture_hashes[like],
        category=columns.category.word(like),
        city=f"city-{row % CITIES}",
        author_id=f"author-{row % 5000}",
        tags=columns.tags[like],
        published_at=datetime.fromtimestamp(float(columns.published_at[like]), UTC),
    )
    return post if row < len(columns) else replace(post, post_id=f"grown-{row:07d}", title=f"{post.title} {row}")
