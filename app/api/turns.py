"""Calls for one user -> one after the other, so that what the first returned is held back from the second."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from weakref import WeakValueDictionary


class UserTurns:
    """The calls of this process; those that other workers answer at the very same moment are not waited for.

    Who waits keeps his place in the lane: not for long, and only for one who is at work.
    """

    def __init__(self, *, patience_seconds: float) -> None:
        self._patience_seconds = patience_seconds  # where stores are slow two answers may be alike rather than late
        self._locks: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    @asynccontextmanager
    async def of(self, user_id: str) -> AsyncIterator[None]:
        """The user's turn, or not even that when it does not come in time."""
        lock = self._locks.get(user_id)
        if lock is None:
            lock = self._locks[user_id] = asyncio.Lock()
        has_turn = False
        with suppress(TimeoutError):
            async with asyncio.timeout(self._patience_seconds):
                has_turn = await lock.acquire()
        try:
            yield
        finally:
            if has_turn:
                lock.release()
