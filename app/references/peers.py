"""Peers and their latest acts -> the posts they acted on, as references for the user (step 402)."""

from __future__ import annotations

from collections.abc import Container, Iterable
from dataclasses import dataclass, field

from app.domain import PostAct, Reference, ReferenceKind
from app.references.weights import PEER_POSTS_AT_MOST, SHARES, recency, strongest
from app.storage.peers import Peer


@dataclass(slots=True)
class _LentPost:
    """One post that peers acted on."""

    doubt: float = 1.0  # product of (1 - overlap x recency): agreement among peers strengthens, but never beyond 1
    best: float = 0.0
    best_peer: str = ""
    acts: list[PostAct] = field(default_factory=list)  # of the best peer


def peer_references(
    peers: Iterable[Peer], kind: ReferenceKind, *, known: Container[str], own: Container[str]
) -> tuple[Reference, ...]:
    """The posts on which peers of one kind acted, weightiest first; the user's own references are left out."""
    lent: dict[str, _LentPost] = {}
    for peer in peers:
        if peer.kind is not kind:
            continue
        for post_id, acts in _by_post(peer.acts).items():
            if post_id in known and post_id not in own:
                _lend(lent.setdefault(post_id, _LentPost()), peer, acts)
    references = [_reference(post_id, post, kind) for post_id, post in lent.items()]
    references.sort(key=lambda reference: reference.post_id)
    references.sort(key=lambda reference: (reference.weight, reference.at), reverse=True)
    return tuple(references[:PEER_POSTS_AT_MOST])


def _by_post(acts: Iterable[PostAct]) -> dict[str, list[PostAct]]:
    of_post: dict[str, list[PostAct]] = {}
    for act in acts:
        of_post.setdefault(act.post_id, []).append(act)
    return of_post


def _lend(post: _LentPost, peer: Peer, acts: list[PostAct]) -> None:
    """Add one peer's acts on the post. Acts come latest first."""
    part = peer.overlap * recency(acts[0].at, latest=peer.acts[0].at)
    post.doubt *= 1.0 - part
    if part > post.best:
        post.best, post.best_peer, post.acts = part, peer.user_id, acts


def _reference(post_id: str, post: _LentPost, kind: ReferenceKind) -> Reference:
    act = strongest(post.acts)
    behaviours = frozenset([one.kind for one in post.acts])
    return Reference(post_id, kind, act.kind, act.at, SHARES[kind] * (1.0 - post.doubt), post.best_peer, behaviours)
