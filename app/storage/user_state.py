"""A user id -> what serving knows of the user: showings, seen posts, peers; from Redis while nothing has changed.

Cache-aside with versions: the version is read before PostgreSQL is, and what was loaded counts only as long as that
version stands. Whoever commits a change of the user's log sets a new version afterwards (`forget_users`), so no answer
is older than a committed change. A version is a random number: one that was lost cannot come back as an older state's.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime
from typing import cast
from weakref import WeakKeyDictionary
from zlib import crc32

from redis.asyncio import Redis
from sqlalchemy.ext.asyncio import AsyncEngine

from app.domain import ShownPost
from app.errors import Unavailable
from app.storage.cache import Cache
from app.storage.flights import Flights, breaker_of
from app.storage.peers import Peer, find_peers, read_peers
from app.storage.postgres import transaction
from app.storage.reservations import NOTHING_RESERVED, Reservations, reserved_key
from app.storage.stores import Stores
from app.storage.user_bytes import CachedLog, CachedPeers
from app.storage.user_log import UserLog, read_user_log

POSTS_VERSION = "posts:version"  # counted up by whoever changes a post
FRESH_SECONDS = 60  # at most: bounds what a version lost with a broken Redis could hide
PEERS_FRESH_SECONDS = 600  # peers change slowly
INCOMPLETE_SECONDS = 5  # how long peers count that were not found in time: the database may be well again
KEPT_SECONDS = 3600  # outdated entries still serve while PostgreSQL is down
VERSION_SECONDS = 2 * KEPT_SECONDS
VERSION_BYTES = 8
ERASED_AT_ONCE = 1000
OWED_AT_MOST = 100_000

CACHE, HISTORY, PEERS = "cache", "history", "peers"  # what an answer may have gone without


@dataclass(frozen=True, slots=True)
class UserState:
    """What serving knows of one user; empty for a new one."""

    shown: tuple[ShownPost, ...] = ()  # oldest first: the latest 200, and older ones that were acted on
    seen: frozenset[str] = frozenset()  # ids of posts shown to him
    rejected: tuple[str, ...] = ()  # ids of posts in which he is not interested, latest first
    peers: tuple[Peer, ...] = ()
    personalised: bool = True  # false: he wants no list made from what is known of him, and so nothing of it is here


@dataclass(frozen=True, slots=True)
class LoadedUser:
    """A state, what it had to go without, and the version of the catalogue read in the same round trip."""

    state: UserState
    degraded: tuple[str, ...] = ()  # of "cache", "history", "peers"
    posts_version: int | None = None
    reserved: Reservations = NOTHING_RESERVED  # what was returned to the user a moment ago


@dataclass(frozen=True, slots=True)
class _Cached:
    """What Redis has of a user."""

    version: bytes = b""  # empty without Redis
    log: CachedLog | None = None
    peers: CachedPeers | None = None
    posts_version: int | None = None
    reserved: Reservations = NOTHING_RESERVED
    is_reachable: bool = True
    fresh_seconds: float = FRESH_SECONDS

    @property
    def current_log(self) -> UserLog | None:
        """The log, if nothing has changed since it was read."""
        log = self.log
        if log is None or log.version != self.version.decode() or time.time() - log.read_at >= self.fresh_seconds:
            return None
        return log.log

    def current_peers(self, log: UserLog | None) -> CachedPeers | None:
        """The peers, if they are recent. A user without similar ones may get some with his next like."""
        if self.peers is None or log is None:
            return None
        age_seconds = time.time() - self.peers.read_at
        if not self.peers.is_complete:
            return self.peers if age_seconds < INCOMPLETE_SECONDS else None
        if age_seconds >= PEERS_FRESH_SECONDS:
            return None
        is_current = self.peers.has_similar_users or self.peers.latest_like_at == _unix(log.latest_like_at)
        return self.peers if is_current else None


# Per process and cache: the loads under way, and users whose new version could not be written.
_flights: WeakKeyDictionary[AsyncEngine, Flights[tuple[UserLog, CachedPeers]]] = WeakKeyDictionary()
_owed: WeakKeyDictionary[Cache, set[str]] = WeakKeyDictionary()


async def load_user_state(stores: Stores, user_id: str) -> LoadedUser:
    """What is known of the user, in one round trip to Redis when nothing has changed.

    Never raises for a store that is down: the state is then as good as it can be, and `degraded` says what it lacks.
    """
    cached = await _read_cache(stores.cache, user_id)
    lacking = set() if cached.is_reachable else {CACHE}
    log = cached.current_log
    peers = cached.current_peers(log)
    if log is None or peers is None:
        try:
            log, peers = await _flights_of(stores).join((user_id, cached.version), lambda: _load(stores, user_id))
        except Unavailable:
            lacking.add(HISTORY if log is None else PEERS)
            log = log or (cached.log.log if cached.log else UserLog())
            peers = cached.peers or CachedPeers()
    if not peers.is_complete:
        lacking.add(PEERS)
    state = UserState(log.shown, log.seen, log.rejected, peers.peers)
    if not log.personalised:
        state = UserState(seen=log.seen, rejected=log.rejected, personalised=False)
    return LoadedUser(state, tuple(sorted(lacking)), cached.posts_version, cached.reserved)


async def forget_users(cache: Cache, user_ids: Iterable[str]) -> None:
    """Let no state cached before now count any more; call it after the commit that changed these users' log.

    Without Redis it is made up for before this process next reads one of them; other processes may then serve the old
    state for up to FRESH_SECONDS.
    """
    owed = _owed.setdefault(cache, set())
    if len(owed) < OWED_AT_MOST:
        owed.update(user_ids)
    with suppress(Unavailable):
        await _pay(cache, owed)


async def drop_states(cache: Cache, user_ids: Collection[str]) -> None:
    """Let these users' cached states serve no more, not even while PostgreSQL is away."""
    await forget_users(cache, user_ids)
    keys = [key for user_id in user_ids for key in (_log_key(user_id), _peers_key(user_id))]
    with suppress(Unavailable):
        async with cache.use() as redis:
            if keys:
                await redis.unlink(*keys)


async def forget_peers(cache: Cache, user_ids: Iterable[str]) -> None:
    """Let the users' peers be looked up anew, after their attributes have changed."""
    keys = [_peers_key(user_id) for user_id in user_ids]
    with suppress(Unavailable):
        async with cache.use() as redis:
            if keys:
                await redis.unlink(*keys)


async def erase_cached_user(cache: Cache, user_id: str) -> int:
    """Remove the user's own entries, and every list of peers, since any may name him; how many entries that was.

    Raises Unavailable.
    """
    _owed.setdefault(cache, set()).discard(user_id)
    erased = await _erase_own(cache, user_id)
    async with cache.use() as redis:
        keys = [key async for key in redis.scan_iter(match=_peers_key("*"), count=ERASED_AT_ONCE)]
        for at in range(0, len(keys), ERASED_AT_ONCE):
            erased += int(await redis.unlink(*keys[at : at + ERASED_AT_ONCE]))
    return erased


async def _erase_own(cache: Cache, user_id: str) -> int:
    own = (_version_key(user_id), _log_key(user_id), _peers_key(user_id), reserved_key(user_id))
    async with cache.use() as redis:
        return int(await redis.unlink(*own))


def _flights_of(stores: Stores) -> Flights[tuple[UserLog, CachedPeers]]:
    flights = _flights.get(stores.database)
    if flights is None:
        patience_seconds = stores.settings.recommend_patience_seconds
        flights = _flights[stores.database] = Flights(breaker_of(stores.database), patience_seconds=patience_seconds)
    return flights


def _version_key(user_id: str) -> str:
    return f"user:{user_id}:version"


def _log_key(user_id: str) -> str:
    return f"user:{user_id}:log"


def _peers_key(user_id: str) -> str:
    return f"user:{user_id}:peers"


def _unix(moment: datetime | None) -> float | None:
    return None if moment is None else moment.timestamp()


def _fresh_seconds(user_id: str) -> float:
    """From half of FRESH_SECONDS to all of them: states that were read together are not all read again together."""
    return FRESH_SECONDS * (1 + crc32(user_id.encode()) / 2**32) / 2


def _new_version() -> bytes:
    return secrets.token_hex(VERSION_BYTES).encode()


async def _pay(cache: Cache, owed: set[str]) -> None:
    """Write the new versions that are owed."""
    paid = list(owed)
    async with cache.use() as redis, redis.pipeline(transaction=False) as pipeline:
        for user_id in paid:
            pipeline.set(_version_key(user_id), _new_version(), ex=VERSION_SECONDS)
        await pipeline.execute()
    owed.difference_update(paid)


async def _read_cache(cache: Cache, user_id: str) -> _Cached:
    """What Redis has; a user without a version is given one, which no cached state can have."""
    keys = [_version_key(user_id), _log_key(user_id), _peers_key(user_id), POSTS_VERSION, reserved_key(user_id)]
    try:
        owed = _owed.get(cache)
        if owed:
            await _pay(cache, owed)
        async with cache.use() as redis:
            version, log, peers, posts, reserved = cast(list[bytes | None], await redis.mget(keys))
            version = version or await _first_version(redis, user_id)
    except Unavailable:
        return _Cached(is_reachable=False)
    return _Cached(
        version,
        CachedLog.of(log, user_id),
        CachedPeers.of(peers),
        int(posts) if posts else None,
        Reservations.of(reserved),
        fresh_seconds=_fresh_seconds(user_id),
    )


async def _first_version(redis: Redis, user_id: str) -> bytes:
    """Give the user a version, unless somebody has just done so."""
    made = _new_version()
    there = await redis.set(_version_key(user_id), made, ex=VERSION_SECONDS, nx=True, get=True)
    return cast(bytes | None, there) or made


async def _load(stores: Stores, user_id: str) -> tuple[UserLog, CachedPeers]:
    """Read from PostgreSQL what Redis has not, and write it there."""
    cached = await _read_cache(stores.cache, user_id)  # again: a load may have ended since the caller looked
    log = cached.current_log
    peers = cached.current_peers(log)
    if log is not None and peers is not None:
        return log, peers
    read_at = time.time()
    entries: dict[str, bytes] = {}
    async with transaction(stores.database) as connection:
        is_erased = bool(await stores.erased.among(connection, [user_id]))
        if log is None:
            log = await read_user_log(connection, user_id)
            entries[_log_key(user_id)] = CachedLog(cached.version.decode(), read_at, log).to_bytes()
            peers = cached.current_peers(log)
        if peers is None:
            liked_at = _unix(log.latest_like_at)
            peers = CachedPeers(read_at, liked_at, await read_peers(connection, user_id))
            entries[_peers_key(user_id)] = peers.to_bytes()
    if _peers_key(user_id) in entries and not peers.has_similar_users:
        peers = await _find_peers(stores, user_id, known=peers)
        entries[_peers_key(user_id)] = peers.to_bytes()
    if cached.is_reachable:
        with suppress(Unavailable):
            if is_erased:  # whoever still asks for him must not leave his id in the cache
                await _erase_own(stores.cache, user_id)
                return log, peers
            await _write_cache(stores.cache, entries, version_key=_version_key(user_id), version=cached.version)
    return log, peers


async def _find_peers(stores: Stores, user_id: str, *, known: CachedPeers) -> CachedPeers:
    """Peers of a user for whom no similar ones were computed ahead; incomplete when that takes too long."""
    try:
        async with transaction(stores.database) as connection:
            return replace(known, peers=await find_peers(connection, user_id))
    except Unavailable:
        return replace(known, is_complete=False)


# Whatever has been forgotten since it was read must not come back: an erased person least of all.
_WRITE_WHILE_CURRENT = """
    if redis.call('get', KEYS[1]) ~= ARGV[1] then return 0 end
    for place = 2, #KEYS do redis.call('set', KEYS[place], ARGV[place + 1], 'ex', ARGV[2]) end
    return 1"""


async def _write_cache(cache: Cache, entries: dict[str, bytes], *, version_key: str, version: bytes) -> None:
    """Write entries, unless the version under which they were read has changed."""
    keys = [version_key, *entries]
    async with cache.use() as redis:
        await redis.eval(_WRITE_WHILE_CURRENT, len(keys), *keys, version, KEPT_SECONDS, *entries.values())
