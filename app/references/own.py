"""A user's showings and the session of his app -> the posts he acted on, as references, latest first."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from datetime import datetime, timedelta

from app.domain import Act, PostAct, Reference, ReferenceKind, ShownPost
from app.references.weights import OWN_AT_MOST, SHARES, AnyAct, recency, strongest

JUST_BEFORE = timedelta(milliseconds=1)


def own_references(
    shown: Iterable[ShownPost], session: Sequence[PostAct], *, known: Container[str]
) -> tuple[Reference, ...]:
    """The latest posts with any of the five behaviours, those of the session among them; `known` has a vector."""
    acts: dict[str, list[AnyAct]] = {}
    for showing in shown:
        if showing.acts and showing.post_id in known:
            acts.setdefault(showing.post_id, []).extend(showing.acts)
    for act in session:
        if act.post_id in known:
            acts.setdefault(act.post_id, []).append(act)
    latest = {post_id: max(act.at for act in done) for post_id, done in acts.items()}
    order = sorted(acts, key=lambda post_id: (latest[post_id], post_id), reverse=True)[:OWN_AT_MOST]
    in_session = {act.post_id for act in session}
    return tuple(
        _reference(
            post_id,
            acts[post_id],
            kind=ReferenceKind.SESSION if post_id in in_session else ReferenceKind.OWN,
            recency=recency(latest[post_id], latest=latest[order[0]]),
        )
        for post_id in order
    )


def _reference(post_id: str, acts: Sequence[AnyAct], *, kind: ReferenceKind, recency: float) -> Reference:
    act = strongest(acts)
    weight = SHARES[kind] * recency
    return Reference(post_id, kind, act.kind, act.at, weight, behaviours=frozenset([one.kind for one in acts]))


def with_session(
    shown: Sequence[ShownPost], session: Sequence[PostAct], *, user_id: str, moment: datetime
) -> tuple[ShownPost, ...]:
    """The showings with those acts of the session that the log does not have yet; all are before the moment."""
    logged = {(showing.post_id, act.kind) for showing in shown for act in showing.acts}
    new = [act for act in session if (act.post_id, act.kind) not in logged]
    if not new:
        return tuple(shown)
    added = [_shown(act, user_id, number, before=moment - JUST_BEFORE) for number, act in enumerate(new)]
    return tuple(sorted([*shown, *added], key=lambda showing: (showing.shown_at, showing.exposure_id)))


def _shown(act: PostAct, user_id: str, number: int, *, before: datetime) -> ShownPost:
    at = min(act.at, before)
    return ShownPost(f"session:{number}", user_id, act.post_id, at, None, (Act(act.kind, at),))
