"""The stores -> the whole log in memory: posts, users, and what each user was shown and did."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from itertools import chain
from typing import Any

import orjson

from app.domain import Post, ShownPost
from app.storage.catalogue import stream_catalogue
from app.storage.log import current_watermark, shown_posts, stream_user_ids
from app.storage.postgres import SyncEngine
from app.storage.snapshot import snapshot
from app.storage.stores import Stores


@dataclass(frozen=True)
class Log:
    """Posts, and the showings of each user by time; a part of one is a Log too."""

    posts: tuple[Post, ...]
    shown: Mapping[str, Sequence[ShownPost]]  # user -> showings by (shown_at, exposure_id)
    attributes: Mapping[str, Mapping[str, Any]]  # user -> what is known of him

    @cached_property
    def rows(self) -> dict[str, int]:
        """Post -> its row in every array."""
        return {post.post_id: row for row, post in enumerate(self.posts)}

    def with_shown(self, shown: Mapping[str, Sequence[ShownPost]]) -> Log:
        """The same catalogue and people with other showings."""
        return Log(self.posts, shown, self.attributes)


async def read_log(stores: Stores, engine: SyncEngine) -> Log:
    """All posts that may be recommended, and all that was shown of them."""
    posts = [post async for page in stream_catalogue(stores.database, with_deleted=False) for post in page]
    kept = tuple(post for post in posts if not post.hidden)
    async with snapshot(stores.database) as moment:
        users = [orjson.loads(line) async for line in moment.users()]
    shown = await asyncio.to_thread(_read_shown, engine, {post.post_id for post in kept})
    return Log(kept, shown, {user["user_id"]: user.get("attributes") or {} for user in users})


def _read_shown(engine: SyncEngine, posts: set[str]) -> dict[str, list[ShownPost]]:
    until = current_watermark(engine)
    ids = sorted(chain.from_iterable(stream_user_ids(engine, seed=0, until=until)))
    return {
        user_id: [one for one in shown if one.post_id in posts]
        for user_id, shown in shown_posts(engine, ids, until=until)
    }


def before(shown: Sequence[ShownPost], moment: datetime) -> list[ShownPost]:
    """What could be known of these showings at the moment: those before it, with the acts before it."""
    return [with_acts_before(one, moment) for one in shown if one.shown_at < moment]


def with_acts_before(showing: ShownPost, moment: datetime) -> ShownPost:
    """The showing as it stood at the moment."""
    acts = tuple(act for act in showing.acts if act.at < moment)
    if len(acts) == len(showing.acts):
        return showing
    return ShownPost(showing.exposure_id, showing.user_id, showing.post_id, showing.shown_at, showing.position, acts)
