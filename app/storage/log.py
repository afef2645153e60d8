"""The event log in PostgreSQL -> users in a seeded order, and each user's showings with their acts, for the trainer.

Memory does not grow with the log: users and rows come through server-side cursors, one user's showings at a time.
"""

from __future__ import annotations

from collections.abc import Generator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import md5
from itertools import groupby, islice
from math import inf
from operator import itemgetter
from typing import Any

from sqlalchemy import Connection, Engine, Row, text

from app.domain import ShownPost
from app.storage.attribution import BehaviourRow, ShowingRow, with_acts
from app.storage.postgres import sync_connection, sync_transaction

SHOWINGS_PER_USER = 20_000  # the most recent ones; beyond that no person is behind the account
BEHAVIOURS_PER_USER = 5 * SHOWINGS_PER_USER
USERS_PER_READ = 64
ROWS_PER_FETCH = 2_000
SETTLING_SECONDS = 0.05
MINIMUM_TO_SPLIT = 100  # exposures
SAMPLED_BYTES = 64 << 20  # of the exposures' table, to find the moment of the split
SEEDS = 1 << 62


@dataclass(frozen=True, slots=True)
class Watermark:
    """Every event that arrived before this moment can be seen; none will appear there later."""

    arrived_until: datetime  # UTC, aware; exclusive


def current_watermark(engine: Engine) -> Watermark:
    """The newest watermark: the start of the oldest transaction still open in this database, else now.

    `arrived_at` is the start of the writing transaction, so one left open holds the watermark back. One may have
    started a moment ago without showing in the server's statistics yet: they are read a little later than the clock.
    Sessions of other roles are only seen by a role with pg_read_all_stats: trainer and API connect as the same one.
    """
    with sync_transaction(engine) as connection:
        clock = text("SELECT now() FROM pg_sleep(:seconds)")
        now = connection.execute(clock, {"seconds": SETTLING_SECONDS}).scalar_one()
        oldest = connection.execute(
            text("""
                SELECT min(xact_start) FROM pg_stat_activity
                WHERE datname = current_database() AND backend_type = 'client backend' AND pid <> pg_backend_pid()
            """)
        ).scalar_one()
    return Watermark(now if oldest is None else min(now, oldest))


def count_exposures(engine: Engine, *, since: Watermark | None, until: Watermark) -> int:
    """Exposures that arrived from one watermark (None = ever) up to another."""
    query = """
        SELECT count(*) FROM exposures
        WHERE arrived_at < :until AND (cast(:since AS timestamptz) IS NULL OR arrived_at >= :since)
    """
    values = {"since": since and since.arrived_until, "until": until.arrived_until}
    with sync_transaction(engine) as connection:
        return int(connection.execute(text(query), values).scalar_one())


def split_moment(engine: Engine, share: float = 0.1, *, sampled_bytes: int = SAMPLED_BYTES) -> datetime | None:
    """The moment from which on the latest `share` of the exposures was shown; None when there are too few to split.

    What was shown together stays together. Of a log larger than `sampled_bytes` only random pages are read.
    """
    with sync_transaction(engine) as connection:
        size = connection.execute(text("SELECT pg_relation_size('exposures')")).scalar_one()
        percent = 100.0 * min(1.0, sampled_bytes / max(size, 1))
        exposures, first, moment = connection.execute(
            text("""
                SELECT count(*), min(shown_at), percentile_disc(:earlier) WITHIN GROUP (ORDER BY shown_at)
                FROM exposures TABLESAMPLE SYSTEM (:percent) REPEATABLE (0)
            """),
            {"earlier": 1.0 - share, "percent": percent},
        ).one()
        if exposures and moment == first:  # most of the log is one moment: it all goes before the split
            later = text("SELECT min(shown_at) FROM exposures WHERE shown_at > :moment")
            moment = connection.execute(later, {"moment": moment}).scalar_one()
    split: datetime | None = moment if exposures >= MINIMUM_TO_SPLIT else None
    return split


def stream_user_ids(
    engine: Engine,
    *,
    seed: int,
    until: Watermark | None = None,
    arrived_since: datetime | None = None,
    shown_since: datetime | None = None,
    replay_share: float = 0.0,
    page_size: int = 1_000,
) -> Generator[list[str], None, None]:
    """Pages of the users with exposures, in a pseudo-random order given by the seed; none who wants no personal list.

    With `arrived_since` or `shown_since` only users with an event that arrived, or an exposure shown, from then on (and
    arrived before `until`); and besides them the share of all users for whom `is_replayed`.
    """
    values = {
        "seed": seed % SEEDS,
        "until": until.arrived_until if until else datetime.max.replace(tzinfo=UTC),
        "arrived_since": arrived_since,
        "shown_since": shown_since,
        "replay_salt": _replay_salt(seed),
        "replay_steps": _replay_steps(replay_share),
    }
    users = _users_query(arrived_since, shown_since, replay_share=replay_share)
    declaration = f"""
        DECLARE shuffled_users NO SCROLL CURSOR WITH HOLD FOR
        SELECT user_id FROM ({users}) AS users
        WHERE NOT EXISTS (SELECT FROM users u WHERE u.user_id = users.user_id AND NOT u.personalised)
        ORDER BY hashtextextended(user_id, :seed), user_id
    """  # noqa: S608 - put together from the constants below
    with sync_connection(engine) as connection:
        connection.detach()  # closing it takes the held cursor along
        # Held beyond its transaction: an epoch lasts long, and an open transaction would hold back the watermark.
        connection.execute(text(declaration), values)
        connection.commit()
        while page := connection.execute(text(f"FETCH {int(page_size)} FROM shuffled_users")).scalars().all():
            connection.commit()
            yield list(page)


ARRIVED = """
    SELECT user_id FROM exposures WHERE arrived_at >= :arrived_since AND arrived_at < :until
    UNION SELECT user_id FROM behaviours WHERE arrived_at >= :arrived_since AND arrived_at < :until
"""
SHOWN = "SELECT DISTINCT user_id FROM exposures WHERE shown_at >= :shown_since AND arrived_at < :until"
EVERYBODY = "SELECT DISTINCT user_id FROM exposures"
REPLAYED = """
    SELECT user_id FROM (SELECT DISTINCT user_id FROM exposures) AS everybody
    WHERE ('x' || left(md5(:replay_salt || user_id), 8))::bit(32)::bigint < :replay_steps
"""


def is_replayed(user_id: str, *, seed: int, share: float) -> bool:
    """Whether a user is of the share whose older exposures are learnt again: the same choice as REPLAYED makes."""
    digest = md5((_replay_salt(seed) + user_id).encode(), usedforsecurity=False).digest()
    return int.from_bytes(digest[:4]) < _replay_steps(share)


def _replay_salt(seed: int) -> str:
    return f"{seed % SEEDS}:"


def _replay_steps(share: float) -> int:
    return round(share * 2**32)


def _users_query(arrived_since: datetime | None, shown_since: datetime | None, *, replay_share: float) -> str:
    """The users asked for, each once."""
    if arrived_since is None and shown_since is None:
        return EVERYBODY
    asked = {ARRIVED: arrived_since is not None, SHOWN: shown_since is not None, REPLAYED: replay_share > 0}
    return " UNION ".join(query for query, wanted in asked.items() if wanted)


def shown_posts(
    engine: Engine, user_ids: Iterable[str], *, until: Watermark | datetime
) -> Generator[tuple[str, list[ShownPost]], None, None]:
    """User after user in the given order: what was shown to him, by (shown_at, exposure_id), with the acts on it.

    Only events that arrived before `until`. Left out are users without an exposure, and all but the most recent
    SHOWINGS_PER_USER of one user.
    """
    arrived_until = until.arrived_until if isinstance(until, Watermark) else until
    remaining = iter(user_ids)
    while users := list(islice(remaining, USERS_PER_READ)):
        with sync_connection(engine) as connection:
            connection.execution_options(yield_per=ROWS_PER_FETCH)
            yield from _read_users(connection, users, arrived_until)


# `place` is the user's in the list asked for; both queries give the users in that order.
SHOWINGS = """
    SELECT u.place - 1, e.exposure_id, e.post_id, e.shown_at, e.position, e.arrived_at
    FROM unnest(cast(:users AS text[])) WITH ORDINALITY AS u (user_id, place)
    CROSS JOIN LATERAL (
        SELECT * FROM exposures WHERE user_id = u.user_id AND arrived_at < :arrived_until
        ORDER BY shown_at DESC, exposure_id DESC LIMIT :most
    ) AS e
    ORDER BY u.place, e.shown_at, e.exposure_id
"""
BEHAVIOURS = """
    SELECT u.place - 1, b.exposure_id, b.post_id, b.kind, b.at, b.arrived_at
    FROM unnest(cast(:users AS text[])) WITH ORDINALITY AS u (user_id, place)
    CROSS JOIN LATERAL (
        SELECT * FROM behaviours WHERE user_id = u.user_id AND arrived_at < :arrived_until
        ORDER BY at DESC, behaviour_id DESC LIMIT :most
    ) AS b
    ORDER BY u.place
"""
NOBODY: tuple[float, list[Row[Any]]] = (inf, [])


def _read_users(
    connection: Connection, users: Sequence[str], arrived_until: datetime
) -> Iterator[tuple[str, list[ShownPost]]]:
    """Walk through both streams of rows side by side."""
    values = {"users": users, "arrived_until": arrived_until}
    showings = connection.execute(text(SHOWINGS), {**values, "most": SHOWINGS_PER_USER})
    behaviours = _by_place(connection.execute(text(BEHAVIOURS), {**values, "most": BEHAVIOURS_PER_USER}))
    acting_place, acts = next(behaviours, NOBODY)
    for place, rows in _by_place(showings):
        while acting_place < place:
            acting_place, acts = next(behaviours, NOBODY)
        answers = [BehaviourRow._make(row[1:]) for row in acts] if acting_place == place else []
        yield users[place], with_acts(users[place], [ShowingRow._make(row[1:]) for row in rows], answers)


def _by_place(rows: Iterable[Row[Any]]) -> Iterator[tuple[int, list[Row[Any]]]]:
    for place, group in groupby(rows, key=itemgetter(0)):
        yield place, list(group)
