"""A choice of posts -> what the client reads of it: scores, probabilities, reasons, and why a page is short."""

from __future__ import annotations

from dataclasses import replace

from app.candidates.view import CandidateView
from app.domain import BEHAVIOUR_KINDS
from app.recommend.choose import Choice
from app.recommend.request import Language, Reason, ReasonKind, RecommendedPost, RecommendRequest
from app.recommend.wording import reason_text


def recommended_posts(
    view: CandidateView, choice: Choice, *, language: Language = Language.ENGLISH
) -> tuple[RecommendedPost, ...]:
    """The posts of the page, best first."""
    columns, rows = view.columns, choice.rows
    if not len(rows):
        return ()
    probabilities = view.predict(choice.history, rows).tolist()
    reasons, scores = _reasons(choice), _scores(choice)
    return tuple(
        RecommendedPost(
            post_id=columns.post_ids[row],
            score=scores[place],
            title=columns.titles[row],
            has_picture=columns.picture_hashes[row] is not None,
            category=columns.category.word(row),
            probabilities=dict(zip(BEHAVIOUR_KINDS, probabilities[place], strict=True)),
            reason=_in_words(view, reasons[place], post_id=columns.post_ids[row], language=language),
        )
        for place, row in enumerate(rows.tolist())
    )


def _reasons(choice: Choice) -> list[Reason]:
    """One reason per post of the page; a post that chance has put there is there because it is new."""
    reasons = [Reason(ReasonKind.PINNED) for _ in choice.pinned_rows]
    for number, similarity in zip(choice.matched.reference.tolist(), choice.matched.similarity.tolist(), strict=True):
        reference = choice.references[number]
        reasons.append(Reason(ReasonKind(reference.kind), reference.post_id, reference.behaviour, similarity))
    reasons += [Reason(kind) for kind in choice.filler_kinds]
    for place in choice.exploration.row_at if choice.exploration else ():
        reasons[place] = Reason(ReasonKind.FRESH)
    return reasons


def _in_words(view: CandidateView, reason: Reason, *, post_id: str, language: Language) -> Reason:
    """The reason with its text. A reference that was hidden or deleted since is not named any more."""
    row = None if reason.reference_post_id is None else view.row_of.get(reason.reference_post_id)
    title = view.columns.titles[row] if row is not None and view.alive[row] else None
    return replace(reason, text=reason_text(reason, post_id=post_id, title=title, language=language))


def _scores(choice: Choice) -> list[float]:
    """One score per post of the page. Pinned posts and fillers have none of their own: theirs stand above the highest
    matched one, and below the lowest.

    A post that chance has put on the page has the score of the post whose place it took.
    """
    scores: list[float] = choice.matched.scores.tolist()
    pinned, fillers = len(choice.pinned_rows), len(choice.filler_kinds)
    above, below = max(scores, default=1.0), min(scores, default=1.0)
    first = [above + 1 - place / pinned for place in range(pinned)]
    return first + scores + [below - place / fillers for place in range(1, fillers + 1)]


def shortfall(request: RecommendRequest, choice: Choice, *, returned: int) -> str | None:
    """Why the page has fewer posts than asked for; None when it has them all."""
    passing, page = choice.passing, len(choice.rows)
    if page >= request.k:
        return None
    reasons = [f"{passing.available} posts can be recommended"]
    if passing.filtered < passing.available:
        reasons.append(f"{passing.filtered} of them pass the filter")
    if passing.seen:
        reasons.append(f"{passing.seen} of those were shown to this user already (include_seen brings them back)")
    others = passing.filtered - passing.seen - passing.left
    if others:
        returned_before = ", returned on earlier pages" if returned else ""
        reasons.append(f"{others} are excluded by the request{returned_before}, not wanted or the user's own")
    if page < passing.left:
        reasons.append(f"{passing.left - page} wait for the next page: {_waiting(choice)}")
    return f"{page} of {request.k}: " + ", ".join(reasons)


def _waiting(choice: Choice) -> str:
    """Why posts that may be recommended are not on this page."""
    room = choice.room
    causes = [f"{room.copies} are near copies of pictures on this one"] if room.copies else []
    if room.over_limit:
        causes.append(f"{room.over_limit} are over the limit for an author or a category")
    return " and ".join(causes) or "the best were looked at, none of them may join it"
