"""Whose posts become references (step 402), in what order and how heavy."""

from __future__ import annotations

from datetime import timedelta

import pytest

from app.domain import Act, BehaviourKind, PostAct, Reference, ReferenceKind, ShownPost
from app.references.own import with_session
from app.references.resolve import resolve_references
from app.references.weights import ENOUGH_OWN, HALF_LIFE_DAYS, OWN_AT_MOST, PEER_POSTS_AT_MOST
from app.storage.peers import Peer
from app.storage.user_state import UserState
from tests.storage.logbook import minute

CLICK, LIKE, SHARE = BehaviourKind.CLICK, BehaviourKind.LIKE, BehaviourKind.SHARE
OWN, SESSION = ReferenceKind.OWN, ReferenceKind.SESSION
SIMILAR, ATTRIBUTES = ReferenceKind.SIMILAR_USER, ReferenceKind.SIMILAR_ATTRIBUTES


class Everything:
    """Every post is known."""

    def __contains__(self, post_id: object) -> bool:
        return True


def shown(post_id: str, minutes: float, *kinds: BehaviourKind) -> ShownPost:
    acts = tuple(Act(kind, minute(minutes + 1 + place)) for place, kind in enumerate(kinds))
    return ShownPost(f"e-{post_id}-{minutes}", "u", post_id, minute(minutes), None, acts)


def peer(user_id: str, *post_ids: str, kind: ReferenceKind = SIMILAR, overlap: float = 0.9) -> Peer:
    """A peer who liked these posts, the first one last."""
    return Peer(user_id, kind, overlap, tuple(PostAct(one, LIKE, minute(-place)) for place, one in enumerate(post_ids)))


def resolve(*showings: ShownPost, peers: tuple[Peer, ...] = (), session: tuple[PostAct, ...] = ()) -> list[Reference]:
    return list(resolve_references(UserState(showings, peers=peers), session, known=Everything()))


def ids(references: list[Reference], kind: ReferenceKind = OWN) -> list[str]:
    return [reference.post_id for reference in references if reference.kind is kind]


@pytest.mark.parametrize("kind", BehaviourKind)
def test_a_post_with_any_behaviour_is_a_reference(kind):
    (reference,) = resolve(shown("ignored", 0), shown("acted-on", 1, kind))

    assert (reference.post_id, reference.behaviour) == ("acted-on", kind)


def test_references_are_in_the_order_of_the_latest_act():
    references = resolve(shown("a", 0, LIKE), shown("b", 10, CLICK), shown("a", 20, CLICK))

    assert ids(references) == ["a", "b"]


def test_a_reference_is_named_by_its_strongest_act_and_keeps_them_all():
    (reference,) = resolve(shown("a", 0, LIKE, CLICK), shown("a", 10, CLICK, CLICK))

    assert (reference.behaviour, reference.at) == (LIKE, minute(1))
    assert reference.behaviours == {CLICK, LIKE}


def test_only_the_latest_references_are_kept():
    references = resolve(*(shown(f"p{number:02}", 10 * number, LIKE) for number in range(OWN_AT_MOST + 5)))

    assert len(references) == OWN_AT_MOST
    assert references[0].post_id == f"p{OWN_AT_MOST + 4:02}"


def test_age_counts_back_from_the_latest_act_so_a_pause_changes_nothing():
    half_life_minutes = HALF_LIFE_DAYS * 24 * 60

    weights = [reference.weight for reference in resolve(shown("old", 0, LIKE), shown("new", half_life_minutes, LIKE))]

    assert weights == [1.0, pytest.approx(0.5)]


def test_a_post_of_the_session_is_a_reference_before_it_is_in_the_log():
    session = (PostAct("s", CLICK, minute(50)),)

    references = resolve(shown("a", 0, LIKE), session=session)

    assert [(one.post_id, one.kind) for one in references] == [("s", SESSION), ("a", OWN)]


def test_posts_without_a_vector_are_no_references():
    state = UserState((shown("known", 0, LIKE), shown("unknown", 1, LIKE)))

    references = resolve_references(state, (PostAct("unknown-too", LIKE, minute(0)),), known={"known"})

    assert [one.post_id for one in references] == ["known"]


def test_posts_of_matching_accounts_are_references_and_say_whose_they_are():
    (reference,) = resolve(peers=(peer("v", "lent"),))

    assert (reference.post_id, reference.kind, reference.user_id) == ("lent", SIMILAR, "v")
    assert reference.behaviour is LIKE


def test_what_several_peers_agree_on_weighs_more_but_never_more_than_ones_own():
    peers = (peer("v", "agreed", "alone"), peer("w", "agreed"), peer("x", "agreed", overlap=1.0))

    own, agreed, alone = resolve(shown("mine", 0, LIKE), peers=peers)

    assert (agreed.post_id, alone.post_id) == ("agreed", "alone")
    assert own.weight > agreed.weight > alone.weight > 0
    assert agreed.user_id == "x"


def test_a_post_is_a_reference_once_and_ones_own_comes_first():
    references = resolve(shown("mine", 0, LIKE), peers=(peer("v", "mine", "lent"), peer("w", "lent", kind=ATTRIBUTES)))

    assert [(one.post_id, one.kind) for one in references] == [("mine", OWN), ("lent", SIMILAR)]


@pytest.mark.parametrize("kind", [ATTRIBUTES, SIMILAR])
def test_peers_help_only_while_little_is_known_of_the_user(kind):
    peers = (peer("v", "lent", kind=kind),)
    acted_on = [shown(f"p{number}", number, LIKE) for number in range(ENOUGH_OWN)]

    assert ids(resolve(*acted_on[1:], peers=peers), kind) == ["lent"]
    assert ids(resolve(*acted_on, peers=peers), kind) == []


def test_peers_lend_a_bounded_number_of_posts():
    peers = tuple(peer(f"v{number:02}", f"p{number:02}", overlap=1 - number / 100) for number in range(40))

    references = resolve(peers=peers)

    assert ids(references, SIMILAR) == [f"p{number:02}" for number in range(PEER_POSTS_AT_MOST)]


def test_the_session_joins_the_history_just_before_the_moment_unless_the_log_has_it():
    moment = minute(10)
    log = (shown("logged", 0, CLICK),)
    session = (PostAct("logged", CLICK, minute(1)), PostAct("new", LIKE, minute(99)))

    joined = with_session(log, session, user_id="u", moment=moment)

    assert [one.post_id for one in joined] == ["logged", "new"]
    assert moment - timedelta(seconds=1) < joined[1].acts[0].at < moment
