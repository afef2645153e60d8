"""A real generation -> two of many posts, its vectors jittered; and users with long histories to ask for.

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
from app.candidates.generation import Contents, Generation, GenerationFolder
from app.candidates.index import build_lists
from app.candidates.recall import REQUESTS, calibrated, sampled_requests
from app.domain import Post
from app.settings import Settings
from scripts.bench_processes import tuwen
from scripts.bench_world import BenchWorld, write_lines

HISTORY, REFERENCES = 50, 30
JITTER = 0.4  # length of the noise beside a vector's 1
SEED = 7
CITIES = 20

Float32 = NDArray[np.float32]


def with_long_histories(made: BenchWorld, count: int) -> list[str]:
    """Import so many users who were shown HISTORY posts each and acted on REFERENCES of them; gives their ids."""
    users = [f"reader-{number:04d}" for number in range(count)]
    file = made.settings.home / "readers.jsonl"
    write_lines(file, _log_lines(users, [post.post_id for post in made.world.posts], seed=SEED))
    tuwen(made.settings, "import", "--exposures", file)
    return users


def _log_lines(users: list[str], post_ids: list[str], *, seed: int) -> Iterator[dict[str, object]]:
    """A reader's posts stand near each other in the catalogue: a few tastes each."""
    dice = random.Random(seed)  # noqa: S311 (a simulation)
    now = datetime.now(UTC)
    for user in users:
        tastes = [dice.randrange(len(post_ids)) for _ in range(5)]
        near = sorted({(taste + step) % len(post_ids) for taste in tastes for step in range(30)})
        shown = dice.sample(near, min(HISTORY, len(near)))
        for number, place in enumerate(shown):
            at = now - timedelta(minutes=30 * (HISTORY - number))
            acts = [{"kind": "click", "at": (at + timedelta(minutes=1)).isoformat()}] if number < REFERENCES else []
            yield {"user_id": user, "post_id": post_ids[place], "shown_at": at.isoformat(), "behaviours": acts}


def grown_generations(settings: Settings, count: int) -> tuple[str, str]:
    """Write two generations of `count` posts made of the first real one, and promote the second; gives their ids."""
    folder = GenerationFolder(settings.generations)
    real = folder.load(folder.ids()[0])
    contents = _grown(real, count)
    first, second = (
        folder.write(contents, origin="start", parent=None, changes_until=datetime.now(UTC)) for _ in range(2)
    )
    folder.promote(second)
    return first, second


def _grown(real: Generation, count: int) -> Contents:
    dice = np.random.default_rng(SEED)
    kept, more = min(count, len(real.columns)), max(0, count - len(real.columns))
    like = np.concatenate([np.arange(kept), dice.integers(kept, size=more)])
    vectors, quality = _jittered(real.vectors[like], kept, dice), real.quality[like]
    prints = np.concatenate([real.columns.picture_prints[:kept], dice.integers(1, 1 << 63, size=more, dtype=np.uint64)])
    order, index = build_lists(vectors, quality)
    vectors, quality = vectors[order], quality[order]
    posts = [_post(real.columns, row, int(like[row]), picture_print=int(prints[row])) for row in order.tolist()]
    matching = real.network.matching
    ids = [post.post_id for post in posts]
    requests = sampled_requests(matching, ids, _references(ids))
    return Contents(
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


def _jittered(vectors: Float32, kept: int, dice: np.random.Generator) -> Float32:
    """The vectors (count, width), those behind the first `kept` with noise added, all of unit length."""
    count, width = vectors.shape
    noise = dice.standard_normal((count - kept, width), dtype=np.float32)
    vectors[kept:] += np.float32(JITTER / width**0.5) * noise
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def _references(post_ids: list[str]) -> list[list[str]]:
    """References of other users than the readers, latest first: real posts of a few tastes."""
    real = sorted(one for one in post_ids if not one.startswith("grown-"))
    lines: dict[str, list[str]] = {}
    for line in _log_lines([f"sample-{number}" for number in range(REQUESTS)], real, seed=SEED + 1):
        if line["behaviours"]:
            lines.setdefault(str(line["user_id"]), []).append(str(line["post_id"]))
    return [posts[::-1] for posts in lines.values()]


def _post(columns: PostColumns, row: int, like: int, *, picture_print: int) -> Post:
    """The real post of that row, or one that was grown from the one `like` it."""
    post = Post(
        columns.post_ids[like],
        columns.titles[like],
        picture_hash=columns.picture_hashes[like],
        picture_print=picture_print,
        category=columns.category.word(like),
        city=f"city-{row % CITIES}",
        author_id=f"author-{row % 5000}",
        tags=columns.tags[like],
        published_at=datetime.fromtimestamp(float(columns.published_at[like]), UTC),
    )
    return post if row < len(columns) else replace(post, post_id=f"grown-{row:07d}", title=f"{post.title} {row}")
