"""Posts that came before there were prints -> their prints."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from app.storage.pictures import PictureFolder
from app.storage.postgres import transaction
from app.storage.prints import NOTHING_TO_TELL, print_of

PICTURES_AT_ONCE = 200

_MISSING = text("""
    SELECT DISTINCT picture_hash FROM posts
    WHERE picture_print IS NULL AND picture_hash > :after ORDER BY picture_hash LIMIT :pictures""").bindparams(
    pictures=PICTURES_AT_ONCE
)
_SET = text("""
    UPDATE posts SET picture_print = i.picture_print
    FROM unnest(CAST(:hashes AS text[]), CAST(:prints AS bigint[])) AS i (picture_hash, picture_print)
    WHERE posts.picture_hash = i.picture_hash AND posts.picture_print IS NULL""")


async def add_missing_prints(database: AsyncEngine, pictures: PictureFolder) -> int:
    """Give a print to the posts that came before there were any; of how many pictures. Their change is no news."""
    after, done = "", 0
    while True:
        async with transaction(database) as connection:
            hashes = list(await connection.scalars(_MISSING, {"after": after}))
            if not hashes:
                return done
            prints = [_print_in(pictures, one) for one in hashes]
            await connection.execute(_SET, {"hashes": hashes, "prints": prints})
        after, done = hashes[-1], done + len(hashes)


def _print_in(pictures: PictureFolder, picture_hash: str) -> int:
    try:
        return print_of(pictures.read(picture_hash))
    except FileNotFoundError:
        return NOTHING_TO_TELL
