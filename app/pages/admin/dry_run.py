"""A running service -> what a reindex would bring, without one: counts, sizes, recall of the index, and what changes.

A reindex keeps the network, so it would give just what the serving generation and the changes laid over it are now.
That is what is measured here.
"""

from __future__ import annotations

import asyncio
import shutil
import time
from dataclasses import dataclass
from datetime import datetime

import numpy as np

from app.candidates.fresh import Overlay
from app.candidates.generation import Generation
from app.candidates.view import CandidateView
from app.errors import Unavailable
from app.pages.admin.preview import preview_of
from app.pages.parts import PageParts
from app.recommend.recommend import recommend
from app.storage.browse import active_users
from app.storage.posts import count_posts

SAMPLED_USERS = 20
DEPTH = 10


@dataclass(frozen=True)
class DryRun:
    """What a reindex would bring."""

    generation: str  # that serves
    posts_now: int  # in it
    posts_then: int  # that the new one would have
    added: int
    changed: int
    gone: int  # hidden, deleted or expired since
    waiting: int  # to be encoded
    width: int  # of the vectors
    recall: float | None  # of the index, measured when it was built; None where every post is scored
    overlap: float | None  # of the first posts of pages, before and after; None without active users
    users: int  # whose pages were compared
    bytes_then: int  # estimated by the present size per post
    bytes_free: int
    seconds: float


async def dry_run(parts: PageParts, moment: datetime) -> DryRun:
    """Measured on samples, in seconds. Raises Unavailable before the first generation."""
    began = time.monotonic()
    generation, view = parts.candidates.generation, parts.candidates.view()
    if generation is None:
        raise Unavailable("there is no generation yet")
    base = await asyncio.to_thread(Overlay(generation).view, moment)
    overlap, users = await _overlap(parts, base, view, moment)
    posts_then = await count_posts(parts.stores.database)
    size, free = await asyncio.to_thread(_disk, parts, generation)
    known = generation.row_of
    fresh = [view.columns.post_ids[row] for row in range(len(known), len(view.columns))]
    changed = sum(post_id in known for post_id in fresh)
    living = [int(np.count_nonzero(one.alive[: len(known)])) for one in (base, view)]
    return DryRun(
        generation=view.generation,
        posts_now=len(known),
        posts_then=posts_then,
        added=len(fresh) - changed,
        changed=changed,
        gone=living[0] - living[1] - changed,
        waiting=parts.candidates.waiting,
        width=generation.manifest.width,
        recall=generation.index.recall,
        overlap=overlap,
        users=users,
        bytes_then=round(size / max(1, len(known)) * posts_then),
        bytes_free=free,
        seconds=time.monotonic() - began,
    )


async def _overlap(
    parts: PageParts, base: CandidateView, view: CandidateView, moment: datetime
) -> tuple[float | None, int]:
    """The share of the first posts that pages of active users keep, and how many users that were."""
    users = await active_users(parts.stores.database, limit=SAMPLED_USERS)
    shares = []
    for user in users:
        request = await preview_of(parts, user.user_id, k=DEPTH)
        pages = [await recommend(parts.stores, one, request, moment=moment) for one in (base, view)]
        ids = [{post.post_id for post in page.posts} for page in pages]
        shares.append(len(ids[0] & ids[1]) / max(1, len(ids[0])))
    return (float(np.mean(shares)), len(users)) if shares else (None, 0)


def _disk(parts: PageParts, generation: Generation) -> tuple[int, int]:
    """Bytes of the generation's folder, and free bytes beside it."""
    folder = parts.generations.path(generation.manifest.generation)
    return sum(file.stat().st_size for file in folder.iterdir()), shutil.disk_usage(folder).free
