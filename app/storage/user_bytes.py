"""What Redis keeps of a user, as JSON bytes and back. Bytes that another version wrote, or nobody, count as absent."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Self

import orjson

from app.domain import BEHAVIOUR_KINDS, Act, PostAct, ReferenceKind, ShownPost
from app.storage.peers import Peer
from app.storage.user_log import UserLog

FORMAT = 3  # a new number for every change of the layout below
KIND_NUMBER = {kind: number for number, kind in enumerate(BEHAVIOUR_KINDS)}


@dataclass(frozen=True, slots=True)
class CachedLog:
    """A user's log as read at a moment under a version."""

    version: str
    read_at: float  # unix seconds
    log: UserLog

    def to_bytes(self) -> bytes:
        """The entry as bytes."""
        shown = [
            (one.exposure_id, one.post_id, one.shown_at.timestamp(), one.position, [_act(act) for act in one.acts])
            for one in self.log.shown
        ]
        log = self.log
        fields = (FORMAT, self.version, self.read_at, shown, list(log.seen), log.rejected, log.personalised)
        return orjson.dumps(fields)

    @classmethod
    def of(cls, content: bytes | None, user_id: str) -> Self | None:
        """The entry, None when there is none."""
        fields = _fields(content)
        if fields is None:
            return None
        version, read_at, shown, seen, rejected, personalised = fields
        shown = tuple(_shown_post(user_id, *one) for one in shown)
        log = UserLog(shown, frozenset(seen), tuple(rejected), personalised)
        return cls(version, read_at, log)


@dataclass(frozen=True, slots=True)
class CachedPeers:
    """A user's peers as found at a moment."""

    read_at: float = 0.0  # unix seconds
    latest_like_at: datetime | None = None  # the user's own, then; UTC, aware
    peers: tuple[Peer, ...] = ()
    is_complete: bool = True  # false when finding them took too long

    @property
    def has_similar_users(self) -> bool:
        """Whether any is a peer by behaviour."""
        return any(peer.kind is ReferenceKind.SIMILAR_USER for peer in self.peers)

    def to_bytes(self) -> bytes:
        """The entry as bytes."""
        peers = [
            (peer.user_id, peer.kind, peer.overlap, [(act.post_id, *_act(act)) for act in peer.acts])
            for peer in self.peers
        ]
        liked_at = None if self.latest_like_at is None else self.latest_like_at.timestamp()
        return orjson.dumps((FORMAT, self.read_at, liked_at, peers, self.is_complete))

    @classmethod
    def of(cls, content: bytes | None) -> Self | None:
        """The entry, None when there is none."""
        fields = _fields(content)
        if fields is None:
            return None
        read_at, liked_at, peers, is_complete = fields
        latest_like_at = None if liked_at is None else _moment(liked_at)
        return cls(read_at, latest_like_at, tuple(_peer(*one) for one in peers), is_complete)


def _fields(content: bytes | None) -> list[Any] | None:
    if content is None:
        return None
    try:
        form, *fields = orjson.loads(content)
    except (ValueError, TypeError):  # not JSON, or not a list
        return None
    return fields if form == FORMAT else None


def _act(act: Act | PostAct) -> tuple[int, float]:
    return KIND_NUMBER[act.kind], act.at.timestamp()


def _moment(unix_seconds: float) -> datetime:
    return datetime.fromtimestamp(unix_seconds, UTC)


def _shown_post(
    user_id: str, exposure_id: str, post_id: str, shown_at: float, position: int | None, acts: list[Any]
) -> ShownPost:
    done = tuple([Act(BEHAVIOUR_KINDS[kind], _moment(at)) for kind, at in acts])
    return ShownPost(exposure_id, user_id, post_id, _moment(shown_at), position, done)


def _peer(user_id: str, kind: str, overlap: float, acts: list[Any]) -> Peer:
    done = tuple([PostAct(post_id, BEHAVIOUR_KINDS[number], _moment(at)) for post_id, number, at in acts])
    return Peer(user_id, ReferenceKind(kind), overlap, done)
