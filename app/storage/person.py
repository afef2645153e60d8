"""A user id -> everything that is kept of the person, as one JSON document in pieces, as of one moment."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Mapping

import orjson
from sqlalchemy import TextClause, text
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from app.errors import UnknownId
from app.storage.dead_letters import letters_naming
from app.storage.postgres import transaction

ROWS_AT_ONCE = 2000
PIECE_BYTES = 64 << 10
NOBODY = "nothing is kept of such a user"

_ONE_MOMENT = text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
_IS_THERE = text("""
    SELECT EXISTS (SELECT FROM users WHERE user_id = :user_id)
        OR EXISTS (SELECT FROM exposures WHERE user_id = :user_id)
        OR EXISTS (SELECT FROM posts WHERE author_id = :user_id)
        OR EXISTS (SELECT FROM dead_letters WHERE letter_id = ANY(:letter_ids))""")
# Part of the document -> its rows, each one JSON value.
_PARTS: Mapping[str, TextClause] = {
    "user": text("""
        SELECT json_build_object('attributes', attributes, 'personalised', personalised, 'created_at', created_at,
            'changed_at', changed_at)::text FROM users WHERE user_id = :user_id"""),
    "traits": text("""
        SELECT json_build_object('name', name, 'value', value)::text FROM user_traits
        WHERE user_id = :user_id ORDER BY name, value"""),
    "exposures": text("""
        SELECT json_build_object('exposure_id', exposure_id, 'post_id', post_id, 'shown_at', shown_at, 'position',
            position, 'scene', scene, 'recommendation_id', recommendation_id, 'experiment', experiment, 'arm', arm,
            'propensity', propensity, 'arrived_at', arrived_at)::text
        FROM exposures WHERE user_id = :user_id ORDER BY shown_at, exposure_id"""),
    "behaviours": text("""
        SELECT json_build_object('behaviour_id', behaviour_id, 'post_id', post_id, 'kind', kind, 'at', at,
            'exposure_id', exposure_id, 'arrived_at', arrived_at)::text
        FROM behaviours WHERE user_id = :user_id ORDER BY at, behaviour_id"""),
    "not_interested": text("""
        SELECT json_build_object('behaviour_id', behaviour_id, 'post_id', post_id, 'at', at)::text
        FROM rejections WHERE user_id = :user_id ORDER BY at, behaviour_id"""),
    # Who they are is not the person's to know.
    "peers": text("""
        SELECT json_build_object('kind', kind, 'overlap', overlap, 'count', count(*))::text
        FROM peers WHERE user_id = :user_id GROUP BY kind, overlap ORDER BY kind, overlap DESC"""),
    "authored_posts": text("""
        SELECT json_build_object('post_id', post_id, 'title', title, 'published_at', published_at)::text
        FROM posts WHERE author_id = :user_id ORDER BY post_id"""),
    "dead_letters": text("""
        SELECT json_build_object('kind', kind, 'item', item, 'reason', reason, 'first_at', first_at)::text
        FROM dead_letters WHERE letter_id = ANY(:letter_ids) ORDER BY letter_id"""),
}


async def person_document(database: AsyncEngine, user_id: str) -> AsyncGenerator[bytes, None]:
    """Everything of one person, piece by piece. Raises UnknownId before the first piece when there is nothing."""
    async with transaction(database) as connection:
        await connection.execute(_ONE_MOMENT)
        letters = await letters_naming(connection, user_id)
        values = {"user_id": user_id, "letter_ids": [one.letter_id for one in letters]}
        if not await connection.scalar(_IS_THERE, values):
            raise UnknownId(NOBODY)
        yield b'{"user_id":' + orjson.dumps(user_id)
        for name, statement in _PARTS.items():
            yield f',"{name}":['.encode()
            async for piece in _rows(connection, statement, values):
                yield piece
            yield b"]"
        yield b"}"


async def _rows(
    connection: AsyncConnection, statement: TextClause, values: Mapping[str, object]
) -> AsyncIterator[bytes]:
    """The rows of a part with commas between them, many in one piece."""
    wanted = {name: values[name] for name in values if f":{name}" in statement.text}
    piece = bytearray()
    is_first = True
    async with connection.stream(statement, wanted, execution_options={"yield_per": ROWS_AT_ONCE}) as rows:
        async for (row,) in rows:
            piece += (b"" if is_first else b",") + row.encode()
            is_first = False
            if len(piece) > PIECE_BYTES:
                yield bytes(piece)
                piece.clear()
    yield bytes(piece)
