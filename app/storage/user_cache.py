"""A user id -> what Redis has of the user, for as long as it counts: his log, his peers, what is reserved for him.

Cache-aside with versions: the version is read before PostgreSQL is, and what was loaded counts only as long as that
version stands. Whoever commits a change of the user's log sets a new version afterwards (`forget_users`), so no answer
is older than a committed change. A version is a random number: one that was lost cannot come back as an older state's.

Keys name nobody (`Cache.name_of`). Lists of peers do, in their values: an erasure drops them all, and no list counts
that was read before it.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Collection, Iterable
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple, cast
from weakref import WeakKeyDictionary
from zlib import crc32

from redis.asyncio import Redis

from app.errors import Unavailable
from app.storage.cache import Cache
from app.storage.post_changes import VERSION_KEY as POSTS_VERSION_KEY
from app.storage.reservations import NOTHING_RESERVED, Reservations, reserved_key
from app.storage.user_bytes import CachedLog, CachedPeers
from app.storage.user_log import UserLog

FRESH_SECONDS = 60  # at most: bounds what a version lost with a broken Redis could hide
PEERS_FRESH_SECONDS = 600  # peers change slowly
INCOMPLETE_SECONDS = 5  # how long peers count that were not found in time: the database may be well again
KEPT_SECONDS = 3600  # outdated entries still serve while PostgreSQL is down
VERSION_SECONDS = 2 * KEPT_SECONDS
VERSION_BYTES = 8
PEERS_EPOCH_KEY = "peers:epoch"  # a new word with every erasure
ERASED_AT_ONCE = 1000
ANY_PEERS = "user:*:peers"
OWED_AT_MOST = 100_000
PAID_AT_ONCE = 1000

_owed: WeakKeyDictionary[Cache, set[str]] = WeakKeyDictionary()  # per process: new versions that could not be written


@dataclass(frozen=True, slots=True)
class CachedUser:
    """What Redis has of a user, whether it still counts or not."""

    user_id: str
    version: bytes = b""  # empty without Redis
    log: CachedLog | None = None
    peers: CachedPeers | None = None
    posts_version: int | None = None
    reserved: Reservations = NOTHING_RESERVED
    peers_epoch: bytes = b""  # empty before the first erasure
    is_reachable: bool = True

    @property
    def current_log(self) -> UserLog | None:
        """The log, if nothing has changed since it was read."""
        log = self.log
        if log is None or log.version != self.version.decode():
            return None
        return log.log if time.time() - log.read_at < fresh_seconds(self.user_id) else None

    def current_peers(self, log: UserLog | None) -> CachedPeers | None:
        """The peers, if they are recent. A user without similar ones may get some with his next like."""
        if self.peers is None or log is None:
            return None
        age_seconds = time.time() - self.peers.read_at
        if not self.peers.is_complete:
            return self.peers if age_seconds < INCOMPLETE_SECONDS else None
        if age_seconds >= PEERS_FRESH_SECONDS:
            return None
        is_current = self.peers.has_similar_users or self.peers.latest_like_at == log.latest_like_at
        return self.peers if is_current else None


async def forget_users(cache: Cache, user_ids: Iterable[str]) -> None:
    """Let no state cached before now count any more; call it after the commit that changed these users' log.

    Without Redis it is made up for before this process next reads one of them; other processes may then serve the old
    state for up to FRESH_SECONDS.
    """
    with suppress(Unavailable):
        await _forget(cache, list(user_ids))


async def drop_states(cache: Cache, user_ids: Collection[str]) -> None:
    """Let these users' cached states serve no more, in no process and not even while PostgreSQL is away.

    Raises Unavailable without Redis; repeat it then.
    """
    await _forget(cache, user_ids)
    keys = [key for keys in (keys_of(cache, user_id) for user_id in user_ids) for key in (keys.log, keys.peers)]
    async with cache.use() as redis:
        if keys:
            await redis.unlink(*keys)


async def _forget(cache: Cache, user_ids: Collection[str]) -> None:
    owed = _owed.setdefault(cache, set())
    if len(owed) < OWED_AT_MOST:
        owed.update(user_ids)
    await _pay(cache, owed, first=user_ids)


async def forget_peers(cache: Cache, user_ids: Iterable[str]) -> None:
    """Let the users' peers be looked up anew, after their attributes have changed."""
    keys = [keys_of(cache, user_id).peers for user_id in user_ids]
    with suppress(Unavailable):
        async with cache.use() as redis:
            if keys:
                await redis.unlink(*keys)


async def erase_cached_user(cache: Cache, user_id: str) -> int:
    """Remove the user's own entries, and every list of peers, since any may name him; how many entries that was.

    Call it after the commit: lists that were read before the new epoch are not written any more. Raises Unavailable.
    """
    async with cache.use() as redis:
        await redis.set(PEERS_EPOCH_KEY, _new_version())
        erased = int(await redis.unlink(*keys_of(cache, user_id)))
        keys = [key async for key in redis.scan_iter(match=ANY_PEERS, count=ERASED_AT_ONCE)]
        for at in range(0, len(keys), ERASED_AT_ONCE):
            erased += int(await redis.unlink(*keys[at : at + ERASED_AT_ONCE]))
    return erased


class UserKeys(NamedTuple):
    """Where a user's entries are."""

    version: str
    log: str
    peers: str
    reserved: str


def keys_of(cache: Cache, user_id: str) -> UserKeys:
    """The keys of a user's entries."""
    name = cache.name_of(user_id)
    return UserKeys(f"user:{name}:version", f"user:{name}:log", f"user:{name}:peers", reserved_key(cache, user_id))


def fresh_seconds(user_id: str) -> float:
    """From half of FRESH_SECONDS to all of them: states that were read together are not all read again together."""
    return FRESH_SECONDS * (1 + crc32(user_id.encode()) / 2**32) / 2


def _new_version() -> bytes:
    return secrets.token_hex(VERSION_BYTES).encode()


async def _pay(cache: Cache, owed: set[str], *, first: Iterable[str]) -> None:
    """Write new versions of these users, and of others that are owed one, but not of so many that requests wait."""
    paid = list(dict.fromkeys([*first, *islice(owed, PAID_AT_ONCE)]))
    async with cache.use() as redis, redis.pipeline(transaction=False) as pipeline:
        for user_id in paid:
            pipeline.set(keys_of(cache, user_id).version, _new_version(), ex=VERSION_SECONDS)
        await pipeline.execute()
    owed.difference_update(paid)


async def read_cached_user(cache: Cache, user_id: str) -> CachedUser:
    """What Redis has; a user without a version is given one, which no cached state can have."""
    keys = keys_of(cache, user_id)
    wanted = [keys.version, keys.log, keys.peers, PEERS_EPOCH_KEY, POSTS_VERSION_KEY, keys.reserved]
    try:
        owed = _owed.get(cache)
        if owed:
            await _pay(cache, owed, first=owed & {user_id})
        async with cache.use() as redis:
            version, log, peers, epoch, posts, reserved = cast(list[bytes | None], await redis.mget(wanted))
            version = version or await _first_version(redis, keys.version)
    except Unavailable:
        return CachedUser(user_id, is_reachable=False)
    return CachedUser(
        user_id,
        version,
        CachedLog.of(log, user_id),
        CachedPeers.of(peers),
        int(posts) if posts else None,
        Reservations.of(reserved),
        epoch or b"",
    )


async def _first_version(redis: Redis, key: str) -> bytes:
    """Give the user a version, unless somebody has just done so."""
    made = _new_version()
    there = await redis.set(key, made, ex=VERSION_SECONDS, nx=True, get=True)
    return cast(bytes | None, there) or made


# Whatever has been forgotten since it was read must not come back: an erased person least of all, neither his own
# entries nor his id among the peers of another.
_WRITE_WHILE_CURRENT = """
    if redis.call('get', KEYS[1]) ~= ARGV[1] then return 0 end
    if (redis.call('get', KEYS[2]) or '') ~= ARGV[2] then return 0 end
    for place = 3, #KEYS do redis.call('set', KEYS[place], ARGV[place + 1], 'ex', ARGV[3]) end
    return 1"""


async def write_cached_user(
    cache: Cache, read: CachedUser, *, log: CachedLog | None, peers: CachedPeers | None
) -> None:
    """Write what was loaded after `read`, unless version or epoch have changed since; None leaves what is there."""
    places = keys_of(cache, read.user_id)
    entries: dict[str, bytes] = {}
    if log is not None:
        entries[places.log] = log.to_bytes()
    if peers is not None:
        entries[places.peers] = peers.to_bytes()
    keys = [places.version, PEERS_EPOCH_KEY, *entries]
    values: list[bytes | int] = [read.version, read.peers_epoch, KEPT_SECONDS, *entries.values()]
    async with cache.use() as redis:
        await redis.eval(_WRITE_WHILE_CURRENT, len(keys), *keys, *values)
