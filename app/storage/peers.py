"""Likes and attributes in PostgreSQL -> the accounts with matching features (step 402) and their latest acts.

Peers of active users are computed ahead (`refresh_peers`); for anybody else when asked, under a time limit.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from sqlalchemy import Row, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.domain import BehaviourKind, PostAct, ReferenceKind
from app.storage.events import LOG_LOCK
from app.storage.postgres import transaction

LIKES_AT_MOST = 100  # a user's latest liked posts of the week that are compared
NEIGHBOURS_AT_MOST = 500  # accounts looked at per liked post, on either side of the user's own id
CONSIDERED_AT_MOST = 60  # best found accounts whose common likes are counted exactly
SHARERS_AT_MOST = 150  # accounts looked at per attribute, on either side of the user's own id
SHARERS_CONSIDERED_AT_MOST = 300  # best found accounts whose common attributes are counted exactly
MATCHING_AT_MOST = 20  # peers that pass the 80 % rule
PEERS_WANTED = 10  # when fewer pass it, the nearest others fill up to this many
ACTS_AT_MOST = 15  # latest acts of each peer
ACTIVE_WITHIN = timedelta(days=30)  # before the newest behaviour of the log: whose peers are computed ahead
USERS_AT_ONCE = 50
ON_DEMAND_TIMEOUT_MILLISECONDS = 200
PEERS_LOCK = 0x7475_7765_6E02  # one refresh at a time

# Very popular posts have more likers than can be looked at: from each post those are taken whose ids are next to the
# user's own, which is a different lot for every user. For the best found so the overlap is then counted exactly.
_SIMILAR_USERS = """
    WITH own AS (
        SELECT u.user_id, l.post_id FROM unnest(CAST(:user_ids AS text[])) AS u (user_id)
        CROSS JOIN LATERAL (
            SELECT at FROM behaviours b WHERE b.user_id = u.user_id AND kind = 'like' ORDER BY at DESC LIMIT 1
        ) AS latest
        CROSS JOIN LATERAL (
            SELECT post_id FROM behaviours b
            WHERE b.user_id = u.user_id AND kind = 'like' AND b.at >= latest.at - interval '7 days'
            GROUP BY post_id ORDER BY max(b.at) DESC, post_id LIMIT :likes
        ) AS l
    ), liked AS (
        SELECT user_id, count(*) AS posts FROM own GROUP BY user_id
    ), found AS (
        SELECT own.user_id, other.user_id AS peer_id, count(DISTINCT own.post_id) AS common, max(other.at) AS latest
        FROM own CROSS JOIN LATERAL (
            (SELECT b.user_id, b.at FROM behaviours b
             WHERE b.post_id = own.post_id AND kind = 'like' AND b.user_id > own.user_id
             ORDER BY b.user_id LIMIT :neighbours)
            UNION ALL
            (SELECT b.user_id, b.at FROM behaviours b
             WHERE b.post_id = own.post_id AND kind = 'like' AND b.user_id < own.user_id
             ORDER BY b.user_id DESC LIMIT :neighbours)
        ) AS other GROUP BY 1, 2
    ), considered AS (
        SELECT user_id, peer_id FROM (
            SELECT *, row_number() OVER (PARTITION BY user_id ORDER BY common DESC, latest DESC, peer_id) AS place
            FROM found
        ) AS ordered WHERE place <= :considered
    ), counted AS (
        SELECT c.user_id, c.peer_id, count(DISTINCT b.post_id) AS common, max(b.at) AS latest
        FROM considered c
        JOIN own ON own.user_id = c.user_id
        JOIN behaviours b ON b.post_id = own.post_id AND b.user_id = c.peer_id AND b.kind = 'like'
        GROUP BY 1, 2
    ), ordered AS (
        SELECT *, row_number() OVER (PARTITION BY user_id ORDER BY common DESC, latest DESC, peer_id) AS place
        FROM counted JOIN liked USING (user_id)
    )
    SELECT user_id, 'similar_user' AS kind, peer_id, CAST(common AS real) / posts AS overlap FROM ordered
    WHERE ((common >= 0.8 * posts AND place <= :matching) OR (common >= 2 AND place <= :wanted))
        AND NOT EXISTS (SELECT FROM users u WHERE u.user_id = peer_id AND NOT u.personalised)"""

# An account without any behaviour has no reference posts to lend; sharing less than half is no similarity.
_SIMILAR_ATTRIBUTES = """
    WITH own AS (
        SELECT user_id, name, value FROM user_traits WHERE user_id = ANY(:user_ids)
    ), traits AS (
        SELECT user_id, count(*) AS words FROM own GROUP BY user_id
    ), found AS (
        SELECT own.user_id, other.user_id AS peer_id, count(*) AS common
        FROM own CROSS JOIN LATERAL (
            (SELECT t.user_id FROM user_traits t
             WHERE t.name = own.name AND t.value = own.value AND t.user_id > own.user_id
             ORDER BY t.user_id LIMIT :sharers)
            UNION ALL
            (SELECT t.user_id FROM user_traits t
             WHERE t.name = own.name AND t.value = own.value AND t.user_id < own.user_id
             ORDER BY t.user_id DESC LIMIT :sharers)
        ) AS other GROUP BY 1, 2
    ), considered AS (
        SELECT user_id, peer_id, latest.at AS latest FROM (
            SELECT *, row_number() OVER (PARTITION BY user_id ORDER BY common DESC, peer_id) AS place FROM found
        ) AS ordered
        CROSS JOIN LATERAL (
            SELECT at FROM behaviours b WHERE b.user_id = peer_id ORDER BY at DESC LIMIT 1
        ) AS latest
        WHERE place <= :sharers_considered
    ), counted AS (
        SELECT c.user_id, c.peer_id, c.latest, count(*) AS common
        FROM considered c
        JOIN own ON own.user_id = c.user_id
        JOIN user_traits t ON t.user_id = c.peer_id AND t.name = own.name AND t.value = own.value
        GROUP BY 1, 2, 3
    ), ordered AS (
        SELECT *, row_number() OVER (PARTITION BY user_id ORDER BY common DESC, latest DESC, peer_id) AS place
        FROM counted JOIN traits USING (user_id)
    )
    SELECT user_id, 'similar_attributes' AS kind, peer_id, CAST(common AS real) / words AS overlap FROM ordered
    WHERE common >= 0.5 * words AND place <= :wanted
        AND NOT EXISTS (SELECT FROM users u WHERE u.user_id = peer_id AND NOT u.personalised)"""

_LIMITS = {
    "likes": LIKES_AT_MOST,
    "neighbours": NEIGHBOURS_AT_MOST,
    "considered": CONSIDERED_AT_MOST,
    "sharers": SHARERS_AT_MOST,
    "sharers_considered": SHARERS_CONSIDERED_AT_MOST,
    "matching": MATCHING_AT_MOST,
    "wanted": PEERS_WANTED,
}
_FIND = text(
    f"({_SIMILAR_USERS}) UNION ALL ({_SIMILAR_ATTRIBUTES}) ORDER BY kind DESC, overlap DESC, peer_id"
).bindparams(**_LIMITS)
_REPLACE = (
    text("DELETE FROM peers WHERE user_id = ANY(:user_ids)"),
    text(
        f"INSERT INTO peers (user_id, kind, peer_id, overlap) SELECT user_id, kind, peer_id, overlap"  # noqa: S608
        f" FROM (({_SIMILAR_USERS}) UNION ALL ({_SIMILAR_ATTRIBUTES})) AS found"
    ).bindparams(**_LIMITS),
)
_KNOWN = text("""
    SELECT kind, peer_id, overlap FROM peers
    WHERE user_id = :user_id AND NOT EXISTS (SELECT FROM users u WHERE u.user_id = peer_id AND NOT u.personalised)
    ORDER BY kind DESC, overlap DESC, peer_id""")
_ACTS = text("""
    SELECT peer.id AS peer_id, latest.post_id, latest.kind, latest.at
    FROM unnest(CAST(:peer_ids AS text[])) AS peer (id)
    CROSS JOIN LATERAL (
        SELECT post_id, kind, at FROM behaviours b WHERE b.user_id = peer.id
        ORDER BY at DESC, behaviour_id DESC LIMIT :acts
    ) AS latest ORDER BY latest.at DESC""").bindparams(acts=ACTS_AT_MOST)
_ACTIVE = text("""
    SELECT user_id FROM behaviours WHERE user_id > :after
    GROUP BY user_id HAVING max(at) >= (SELECT max(at) FROM behaviours) - CAST(:within AS interval)
    ORDER BY user_id LIMIT :users""").bindparams(within=ACTIVE_WITHIN, users=USERS_AT_ONCE)


@dataclass(frozen=True, slots=True)
class Peer:
    """An account with matching features and its latest acts."""

    user_id: str
    kind: ReferenceKind  # SIMILAR_USER or SIMILAR_ATTRIBUTES
    overlap: float  # share of the user's own likes of the week, or of his attributes, that the peer has too; 0..1
    acts: tuple[PostAct, ...]  # latest first


async def refresh_peers(database: AsyncEngine, user_ids: Sequence[str] | None = None) -> int:
    """Compute the peers of these users, or of all active ones, anew; how many users that were.

    The database should have no statement time limit. Runs beside the API: one short transaction per page of users.
    """
    done = 0
    async for page in _pages(database, user_ids):
        async with transaction(database) as connection:
            # As a batch of the log does, so that nobody who is being erased comes back as somebody's peer.
            await connection.execute(text("SELECT pg_advisory_xact_lock_shared(:lock)"), {"lock": LOG_LOCK})
            await connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": PEERS_LOCK})
            for statement in _REPLACE:
                await connection.execute(statement, {"user_ids": page})
        done += len(page)
    return done


async def _pages(database: AsyncEngine, user_ids: Sequence[str] | None) -> AsyncIterator[list[str]]:
    if user_ids is not None:
        for at in range(0, len(user_ids), USERS_AT_ONCE):
            yield list(user_ids[at : at + USERS_AT_ONCE])
        return
    after = ""
    while True:
        async with transaction(database) as connection:
            page = list(await connection.scalars(_ACTIVE, {"after": after}))
        if not page:
            return
        yield page
        after = page[-1]


async def read_peers(connection: AsyncConnection, user_id: str) -> tuple[Peer, ...]:
    """The peers computed ahead, with their acts as of now; none when nothing was computed."""
    rows = (await connection.execute(_KNOWN, {"user_id": user_id})).all()
    return await _with_acts(connection, rows)


async def find_peers(connection: AsyncConnection, user_id: str) -> tuple[Peer, ...]:
    """The peers computed now. Raises Unavailable (from the transaction around) when that takes too long."""
    await connection.execute(text(f"SET LOCAL statement_timeout = {ON_DEMAND_TIMEOUT_MILLISECONDS}"))
    rows = (await connection.execute(_FIND, {"user_ids": [user_id]})).all()
    return await _with_acts(connection, rows)


async def _with_acts(connection: AsyncConnection, rows: Sequence[Row[Any]]) -> tuple[Peer, ...]:
    if not rows:
        return ()
    acts: dict[str, list[PostAct]] = {}
    for act in await connection.execute(_ACTS, {"peer_ids": list({row.peer_id for row in rows})}):
        acts.setdefault(act.peer_id, []).append(PostAct(act.post_id, BehaviourKind(act.kind), act.at))
    return tuple(
        Peer(row.peer_id, ReferenceKind(row.kind), float(row.overlap), tuple(acts.get(row.peer_id, ()))) for row in rows
    )
