"""Who has matching features (step 402), compared with a plain reading of the rule."""

from __future__ import annotations

from collections import defaultdict
from random import Random

import pytest
from sqlalchemy import text

from app.domain import BehaviourKind, ReferenceKind
from app.storage.peers import NEIGHBOURS_AT_MOST, PEERS_WANTED, Peer, find_peers, read_peers, refresh_peers
from app.storage.postgres import transaction
from app.storage.stores import Stores
from tests.storage.logbook import Logbook

pytestmark = pytest.mark.anyio
DAY_MINUTES = 24 * 60
WEEK_MINUTES = 7 * DAY_MINUTES


@pytest.fixture
def log(stores: Stores) -> Logbook:
    return Logbook(stores)


async def found(stores: Stores, user_id: str) -> tuple[Peer, ...]:
    async with transaction(stores.database) as connection:
        return await find_peers(connection, user_id)


async def known(stores: Stores, user_id: str) -> tuple[Peer, ...]:
    async with transaction(stores.database) as connection:
        return await read_peers(connection, user_id)


def ids(peers: tuple[Peer, ...], kind: ReferenceKind = ReferenceKind.SIMILAR_USER) -> list[str]:
    return [peer.user_id for peer in peers if peer.kind is kind]


async def test_accounts_that_liked_four_fifths_of_the_weeks_likes_match(stores, log):
    for number in range(5):
        log.did("u", f"p{number}", number)
    for number in range(4):
        log.did("four-of-five", f"p{number}", number)
    log.did("one-of-five", "p0", 0)
    await log.write()

    peers = await found(stores, "u")

    assert [(peer.user_id, round(peer.overlap, 3)) for peer in peers] == [("four-of-five", 0.8)]


async def test_likes_older_than_a_week_before_the_latest_do_not_count(stores, log):
    log.did("u", "old", 0)
    log.did("u", "new", WEEK_MINUTES + 1)
    log.did("likes-the-new", "new", 0)
    log.did("likes-the-old", "old", 0)
    await log.write()

    assert ids(await found(stores, "u")) == ["likes-the-new"]


async def test_too_few_matches_are_filled_with_the_nearest_that_share_two_likes(stores, log):
    for number in range(10):
        log.did("u", f"p{number}", number)
    for user_id, likes in {"nine": 9, "five": 5, "two": 2, "one": 1}.items():
        for number in range(likes):
            log.did(user_id, f"p{number}", number)
    await log.write()

    assert ids(await found(stores, "u")) == ["nine", "five", "two"]


async def test_only_likes_make_peers_by_behaviour(stores, log):
    log.did("u", "p", 0)
    log.did("clicked", "p", 0, kind="click")
    await log.write()

    assert await found(stores, "u") == ()


async def test_a_peer_brings_his_latest_acts_latest_first(stores, log):
    log.did("u", "p", 0)
    log.did("v", "p", 0)
    for number in range(30):
        log.did("v", f"q{number}", number + 1, kind="click")
    await log.write()

    (peer,) = await found(stores, "u")

    assert [act.post_id for act in peer.acts[:2]] == ["q29", "q28"]
    assert peer.acts[0].kind is BehaviourKind.CLICK
    assert len(peer.acts) == 15


async def test_accounts_that_share_at_least_half_the_attributes_match_if_they_ever_acted(stores, log):
    await log.traits(
        u={"gender": "F", "age": "20-24", "city": "上海"},
        two={"gender": "F", "age": "20-24", "city": "北京"},
        one={"gender": "F", "age": "50-54"},
        idle={"gender": "F", "age": "20-24", "city": "上海"},
    )
    for user_id in ("two", "one"):
        log.did(user_id, "p", 0, kind="click")
    await log.write()

    peers = await found(stores, "u")

    assert [(peer.user_id, peer.kind, round(peer.overlap, 3)) for peer in peers] == [
        ("two", ReferenceKind.SIMILAR_ATTRIBUTES, 0.667)
    ]


async def test_a_post_with_more_likers_than_are_looked_at_still_counts_in_full(stores, log):
    for user_id in ["m", "peer", *(f"n{number:05}" for number in range(2 * NEIGHBOURS_AT_MOST))]:
        log.did(user_id, "popular", 0)
    for user_id in ("m", "peer"):
        for post_id in ("rare", "rarer"):
            log.did(user_id, post_id, 0)
    await log.write()

    best = (await found(stores, "m"))[0]

    assert (best.user_id, best.overlap) == ("peer", 1.0)


async def test_computing_ahead_gives_what_asking_gives_and_leaves_out_who_is_inactive(stores, log):
    for user_id in ("u", "v", "w"):
        log.did(user_id, "p", 60 * DAY_MINUTES)
    log.did("gone", "p", 0)
    await log.write()

    refreshed = await refresh_peers(stores.database)

    assert refreshed == 3
    assert await known(stores, "u") == await found(stores, "u") != ()
    assert await known(stores, "gone") == ()


async def test_refreshing_replaces_the_peers_of_before(stores, log):
    for user_id in ("u", "v"):
        log.did(user_id, "p", 0)
    await log.write()
    await refresh_peers(stores.database, ["u"])

    async with transaction(stores.database) as connection:
        await connection.execute(text("DELETE FROM behaviours WHERE user_id = 'v'"))
    await refresh_peers(stores.database, ["u"])

    assert await known(stores, "u") == ()


@pytest.mark.parametrize("seed", range(4))
async def test_peers_equal_a_plain_reading_of_the_rule(stores, log, seed):
    likes, traits = random_world(log, Random(seed))
    await log.traits(**traits)
    await log.write()
    await refresh_peers(stores.database)

    for user_id in likes:
        peers = await known(stores, user_id)

        expected = similar_users(user_id, likes)
        assert [(one.user_id, pytest.approx(one.overlap)) for one in peers if one.kind == "similar_user"] == expected
        expected = similar_attributes(user_id, likes, traits)
        assert {
            one.user_id: pytest.approx(one.overlap) for one in peers if one.kind == "similar_attributes"
        } == expected


Likes = dict[str, dict[str, int]]  # user -> post -> minute of the latest like


def random_world(log: Logbook, random: Random) -> tuple[Likes, dict[str, dict[str, str]]]:
    """Twelve users, few posts so that tastes meet, two weeks, some posts liked twice; no two likes at one minute."""
    likes: Likes = defaultdict(dict)
    minutes = random.sample(range(2 * WEEK_MINUTES), 150)
    for minute in minutes:
        user_id, post_id = f"u{random.randrange(12):02}", f"p{int(random.triangular(0, 12, 0)):02}"
        log.did(user_id, post_id, minute)
        likes[user_id][post_id] = max(minute, likes[user_id].get(post_id, 0))
    traits = {user: {name: random.choice("abc") for name in ("age", "city", "job")} for user in likes}
    return likes, traits


def similar_users(user_id: str, likes: Likes) -> list[tuple[str, float]]:
    week = {post for post, at in likes[user_id].items() if at >= max(likes[user_id].values()) - WEEK_MINUTES}
    common = {peer: week & set(theirs) for peer, theirs in likes.items() if peer != user_id}
    order = sorted(
        (peer for peer in common if common[peer]),
        key=lambda peer: (-len(common[peer]), -max(likes[peer][post] for post in common[peer]), peer),
    )
    wanted = [
        peer
        for place, peer in enumerate(order)
        if len(common[peer]) >= 0.8 * len(week) or (place < PEERS_WANTED and len(common[peer]) >= 2)
    ]
    overlap = {peer: len(common[peer]) / len(week) for peer in wanted}
    return sorted(overlap.items(), key=lambda item: (-item[1], item[0]))


def similar_attributes(user_id: str, likes: Likes, traits: dict[str, dict[str, str]]) -> dict[str, float]:
    own = set(traits[user_id].items())
    common = {peer: len(own & set(theirs.items())) for peer, theirs in traits.items() if peer != user_id}
    order = sorted(common, key=lambda peer: (-common[peer], -max(likes[peer].values()), peer))
    return {peer: common[peer] / len(own) for peer in order[:PEERS_WANTED] if common[peer] >= 0.5 * len(own)}
