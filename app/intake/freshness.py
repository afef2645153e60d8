"""Committed changes -> word to whoever holds cached copies, so that the next request sees them.

A dead cache costs freshness, never the write: what it holds of the old state expires by itself.
"""

from __future__ import annotations

import logging
from collections.abc import Collection
from itertools import islice

from app.errors import Unavailable
from app.storage.post_changes import announce_change
from app.storage.stores import Stores
from app.storage.user_cache import forget_users

USERS_AT_ONCE = 1000  # so that no round trip to the cache outlasts its time limit

logger = logging.getLogger(__name__)


async def log_grown(stores: Stores, user_ids: Collection[str]) -> None:
    """Say that there is something new in the log of these users."""
    remaining = iter(user_ids)
    while some := list(islice(remaining, USERS_AT_ONCE)):
        await forget_users(stores.cache, some)


async def posts_changed(stores: Stores) -> None:
    """Say that some posts have changed."""
    try:
        await announce_change(stores.cache)
    except Unavailable:
        logger.warning("Redis is away: changed posts show when the next periodic look finds them")
