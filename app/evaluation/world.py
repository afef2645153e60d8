"""A log, or a part of it -> stores of their own that hold it and nothing else, for the product to train and serve from.

So nothing that a log does not show can reach a figure: popularity, peers, the chance to be in a batch, the pretrained
start, all are made anew from what is in these stores. The installation's own stores are only read.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path

from app.candidates.encode import TOKENS_FILE
from app.domain import Behaviour, Exposure, PictureStatus, Post
from app.evaluation.log import Log
from app.intake.traits import traits_of
from app.settings import Settings
from app.storage.events import log_batch
from app.storage.locks import FileLock
from app.storage.posts import PostRow, upsert_posts
from app.storage.stores import Stores, open_stores
from app.storage.users import UserRow, upsert_users

AT_ONCE = 2000
SCRATCH = "evaluation-"
PATIENCE_SECONDS = 60.0  # on a busy machine; what is measured must not depend on it
LOCK_SECONDS = 10.0  # that another may take to clear up
PASSABLE = 0o711  # the embedded servers may run as somebody else


@asynccontextmanager
async def world_of(log: Log, settings: Settings, *, tokens: Path | None = None) -> AsyncIterator[Stores]:
    """Open stores with this log, gone at the end. Pictures are the installation's, and so are the backbone tokens
    unless a file of others is given.
    """
    with scratch_home(settings, tokens or settings.home / TOKENS_FILE) as home:
        own = {"home": home, "database_url": None, "redis_url": None}
        patient = {"recommend_patience_seconds": PATIENCE_SECONDS, "redis_timeout_seconds": PATIENCE_SECONDS}
        async with open_stores(settings.for_batch_work().model_copy(update=own | patient)) as stores:
            await _fill(stores, log)
            yield stores


@contextmanager
def scratch_home(settings: Settings, tokens: Path) -> Iterator[Path]:
    """A folder for such stores, which sees the installation's pictures and these tokens; gone at the end."""
    settings.pictures.mkdir(parents=True, exist_ok=True)
    running = FileLock(settings.home / "evaluation.lock")
    if running.try_own():  # no other evaluation is under way: what lies here was left by one that was killed
        for left in settings.home.glob(f"{SCRATCH}*"):
            shutil.rmtree(left, ignore_errors=True)
    running.share(seconds=LOCK_SECONDS)
    home = Path(tempfile.mkdtemp(prefix=SCRATCH, dir=settings.home))
    try:
        home.chmod(PASSABLE)
        (home / "pictures").symlink_to(settings.pictures.absolute())
        (home / TOKENS_FILE).symlink_to(tokens.absolute())
        yield home
    finally:
        shutil.rmtree(home, ignore_errors=True)
        running.close()


async def _fill(stores: Stores, log: Log) -> None:
    posts = [_post_row(post) for post in log.posts]
    for at in range(0, len(posts), AT_ONCE):
        await upsert_posts(stores.database, posts[at : at + AT_ONCE], erased=stores.erased)
    users = [UserRow(user_id, known, traits_of(known)) for user_id, known in log.attributes.items()]
    for at in range(0, len(users), AT_ONCE):
        await upsert_users(stores.database, users[at : at + AT_ONCE], erased=stores.erased)
    shown = [one for showings in log.shown.values() for one in showings]
    for at in range(0, len(shown), AT_ONCE):
        some = shown[at : at + AT_ONCE]
        async with log_batch(stores.database) as batch:
            await batch.add_exposures(
                [Exposure(one.exposure_id, one.user_id, one.post_id, one.shown_at, one.position) for one in some]
            )
            await batch.add_behaviours(
                [
                    Behaviour(
                        f"{one.exposure_id}/{number}", one.user_id, one.post_id, act.kind, act.at, one.exposure_id
                    )
                    for one in some
                    for number, act in enumerate(one.acts)
                ]
            )
            await batch.add_users(sorted({one.user_id for one in some}))


def _post_row(post: Post) -> PostRow:
    has_picture = post.picture_status is PictureStatus.STORED
    return PostRow(
        post.post_id,
        post.title,
        post.category,
        post.city,
        post.latitude,
        post.longitude,
        post.author_id,
        post.tags,
        post.published_at,
        None,  # what has expired since was there when it was shown
        post.attributes,
        picture_status=post.picture_status if has_picture else None,
        picture_hash=post.picture_hash,
        picture_print=post.picture_print,
    )
