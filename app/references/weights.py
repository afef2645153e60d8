"""How much a reference counts, besides what training learns of behaviours and order: every constant of it is here.

The learnt part (`CandidateView.log_weights`) knows which behaviours happened and how many references are later. It does
not know time, nor whose a reference is; that is added here as a factor.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from app.domain import Act, BehaviourKind, PostAct, ReferenceKind

OWN_AT_MOST = 30  # as many as training looks at
PEER_POSTS_AT_MOST = 20  # of each kind of peers
ENOUGH_OWN = 5  # below this, peers help out; beside more, their posts blur a taste that is known (docs/quality.md)
HALF_LIFE_DAYS = 60.0  # before the account's own latest act, so that a pause does not make a taste old
SHARES = {
    ReferenceKind.SESSION: 1.0,
    ReferenceKind.OWN: 1.0,
    ReferenceKind.SIMILAR_USER: 0.5,
    ReferenceKind.SIMILAR_ATTRIBUTES: 0.2,
}
# Which act names a post that several were done on: any says more than a click, and of equals the later one.
STRENGTH = {kind: 1 if kind is BehaviourKind.CLICK else 2 for kind in BehaviourKind}

AnyAct = Act | PostAct


def recency(at: datetime, *, latest: datetime) -> float:
    """Factor in (0, 1] for an act that was so long before the account's latest."""
    days = max(0.0, (latest - at).total_seconds()) / 86400
    return float(0.5 ** (days / HALF_LIFE_DAYS))


def strongest(acts: Iterable[AnyAct]) -> AnyAct:
    """The act that says most."""
    return max(acts, key=lambda act: (STRENGTH[act.kind], act.at))
