"""A user id -> what serving knows of the user: showings, seen posts, peers; from Redis while nothing has changed."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

from sqlalchemy.ext.asyncio import AsyncEngine

from app.domain import ShownPost
from app.errors import Unavailable
from app.storage.flights import Flights, breaker_of
from app.storage.peers import Peer, find_peers, read_peers
from app.storage.postgres import transaction
from app.storage.reservations import NOTHING_RESERVED, Reservations
from app.storage.stores import Stores
from app.storage.user_bytes import CachedLog, CachedPeers
from app.storage.user_cache import read_cached_user, write_cached_user
from app.storage.user_log import UserLog, read_user_log

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


_flights: WeakKeyDictionary[AsyncEngine, Flights[tuple[UserLog, CachedPeers]]] = WeakKeyDictionary()  # under way


async def load_user_state(stores: Stores, user_id: str) -> LoadedUser:
    """What is known of the user, in one round trip to Redis when nothing has changed.

    Never raises for a store that is down: the state is then as good as it can be, and `degraded` says what it lacks.
    """
    cached = await read_cached_user(stores.cache, user_id)
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


def _flights_of(stores: Stores) -> Flights[tuple[UserLog, CachedPeers]]:
    flights = _flights.get(stores.database)
    if flights is None:
        patience_seconds = stores.settings.recommend_patience_seconds
        flights = _flights[stores.database] = Flights(breaker_of(stores.database), patience_seconds=patience_seconds)
    return flights


async def _load(stores: Stores, user_id: str) -> tuple[UserLog, CachedPeers]:
    """Read from PostgreSQL what Redis has not, and write it there."""
    cached = await read_cached_user(stores.cache, user_id)  # again: a load may have ended since the caller looked
    log = cached.current_log
    peers = cached.current_peers(log)
    if log is not None and peers is not None:
        return log, peers
    read_at = time.time()
    new_log: CachedLog | None = None
    new_peers: CachedPeers | None = None
    async with transaction(stores.database) as connection:
        if log is None:
            log = await read_user_log(connection, user_id)
            new_log = CachedLog(cached.version.decode(), read_at, log)
            peers = cached.current_peers(log)
        if peers is None:
            peers = new_peers = CachedPeers(read_at, log.latest_like_at, await read_peers(connection, user_id))
    if new_peers is not None and not new_peers.has_similar_users:
        peers = new_peers = await _find_peers(stores, user_id, known=new_peers)
    if cached.is_reachable:
        with suppress(Unavailable):
            await write_cached_user(stores.cache, cached, log=new_log, peers=new_peers)
    return log, peers


async def _find_peers(stores: Stores, user_id: str, *, known: CachedPeers) -> CachedPeers:
    """Peers of a user for whom no similar ones were computed ahead; incomplete when that takes too long."""
    try:
        async with transaction(stores.database) as connection:
            return replace(known, peers=await find_peers(connection, user_id))
    except Unavailable:
        return replace(known, is_complete=False)
