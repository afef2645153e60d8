"""A user's state and the session of his app -> his reference posts (step 402)."""

from __future__ import annotations

from collections.abc import Container, Sequence

from app.domain import PostAct, Reference, ReferenceKind
from app.references.own import own_references
from app.references.peers import peer_references
from app.references.weights import ENOUGH_OWN
from app.storage.user_state import UserState

HELPERS = (ReferenceKind.SIMILAR_USER, ReferenceKind.SIMILAR_ATTRIBUTES)


def resolve_references(state: UserState, session: Sequence[PostAct], *, known: Container[str]) -> tuple[Reference, ...]:
    """Own posts and those of the session, latest first; then those of peers, weightiest first, each post once.

    `known` are the posts that have a vector, recommendable or not: one that was hidden still tells of a taste. Peers
    are asked only when too little is known of the user himself. A post in which he is not interested is none.
    """
    references = own_references(state.shown, session, known=known)
    for kind in HELPERS if len(references) < ENOUGH_OWN else ():
        taken = {reference.post_id for reference in references}
        references += peer_references(state.peers, kind, known=known, own=taken)
    unwanted = set(state.rejected)
    return tuple([one for one in references if one.post_id not in unwanted]) if unwanted else references
