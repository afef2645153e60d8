"""The toy world as a log in memory, with more likes than it has by itself."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from app.domain import Act, BehaviourKind, Post, ShownPost
from app.evaluation.log import Log
from tests.toy_world import ToyWorld


def small_log(users: int = 12, showings: int = 80) -> Log:
    """Every click is a like as well, so that there are enough of them."""
    world = ToyWorld(users_count=users, showings_each=showings, posts_count=80)
    shown = {user_id: [_liked(one) for one in all_shown] for user_id, all_shown in world.log.items()}
    expired = datetime(2024, 1, 1, tzinfo=UTC)  # as all of an older log may be
    posts = tuple(Post(post.post_id, post.title, expires_at=expired) for post in world.posts)
    return Log(posts, shown, {})


def _liked(showing: ShownPost) -> ShownPost:
    if not showing.acts:
        return showing
    return replace(showing, acts=(Act(BehaviourKind.LIKE, showing.shown_at + timedelta(seconds=5)),))


def with_answers_planted(log: Log, cuts: dict, targets: dict[str, list[str]]) -> Log:
    """After his cut every user clicks the targets of everybody else, again and again: popularity of the future."""
    everybody = sorted({post for posts in targets.values() for post in posts})
    shown = {}
    for user_id, all_shown in log.shown.items():
        at = max(cuts[user_id], all_shown[-1].shown_at) + timedelta(days=1)
        planted = [
            ShownPost(
                f"planted-{user_id}-{number}",
                user_id,
                post_id,
                at + timedelta(seconds=number),
                None,
                (Act(BehaviourKind.CLICK, at + timedelta(seconds=number + 1)),),
            )
            for number, post_id in enumerate(everybody)
        ]
        # And he comes back to what he had been shown before: acts after the cut on showings before it.
        late = [_acted_later(one, at) if one.shown_at < cuts[user_id] else one for one in all_shown]
        shown[user_id] = [*late, *planted]
    return log.with_shown(shown)


def _acted_later(showing: ShownPost, at) -> ShownPost:
    return replace(showing, acts=(*showing.acts, Act(BehaviourKind.SHARE, at)))
