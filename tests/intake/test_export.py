from __future__ import annotations

import json
import resource
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import text

from app.errors import BadInput, Unavailable
from app.intake.events import save_behaviours, save_exposures
from app.intake.export import export_to
from app.intake.files import import_files
from app.intake.posts import PostRecord, delete_post, save_picture, save_posts, set_hidden, set_pinned
from app.intake.report import FileProgress
from app.intake.users import UserRecord, save_users
from app.storage.pictures import PictureFolder
from app.storage.postgres import transaction
from app.storage.stores import Stores
from tests.intake.records import NOON, behaviour, exposure, given_posts, picture, rows
from tests.intake.written import json_lines

pytestmark = pytest.mark.anyio

TABLES = (
    "post_id, title, picture_hash, picture_status, category, city, latitude, longitude, author_id, tags, published_at, "
    "expires_at, attributes, hidden, pinned_at, deleted_at FROM posts",
    "user_id, attributes, personalised FROM users",
    "user_id, name, value FROM user_traits",
    "exposure_id, user_id, post_id, shown_at, position, scene, recommendation_id FROM exposures",
    "behaviour_id, user_id, post_id, kind, at, exposure_id FROM behaviours",
    "behaviour_id, user_id, post_id, at, exposure_id FROM rejections",
)


async def tables(stores: Stores) -> list[Any]:
    return [await rows(stores, columns) for columns in TABLES]


async def given_everything(stores: Stores) -> None:
    attributes = {"price": 1e18, "s": "\u2028 \\ \" '", "deep": [{"null": None}], "small": 1e-7}
    await given_posts(stores, "hidden", "deleted", "pictured", "broken", "too")
    full = PostRecord(post_id="full", title="多\n行", city="上海", tags=['"', "{}", ","], latitude=0.1, longitude=1e-9)
    await save_posts(stores, [full.model_copy(update={"attributes": attributes, "published_at": NOON})])
    for post_id, content in (
        ("pictured", picture()),
        ("too", picture()),
        ("hidden", picture("WEBP")),
        ("broken", b"no picture"),
    ):
        await save_picture(stores, post_id, content)
    await set_hidden(stores, "hidden", hidden=True)
    await set_pinned(stores, "pictured", pinned=True)
    await save_users(
        stores,
        [UserRecord(user_id="u1", attributes={"age": 24, "x": None}), UserRecord(user_id="u2", personalised=False)],
    )
    acts = [{"kind": kind, "at": NOON.replace(microsecond=7)} for kind in ("click", "like")]
    await save_exposures(
        stores,
        [
            exposure("u1", "deleted", seconds=0.000001, behaviours=acts, scene="home", position=3),
            exposure("u\u2028", "full", exposure_id="e1", recommendation_id="r1"),
        ],
    )
    await save_behaviours(
        stores,
        [
            behaviour("share", exposure_id="e1", behaviour_id="b1"),
            behaviour("not_interested", exposure_id="e1"),
            behaviour("comment", user_id="u3", post_id="full"),
            behaviour("comment", user_id="u3", post_id="full", exposure_id="elsewhere"),
        ],
    )
    await delete_post(stores, "deleted")


async def test_what_is_exported_and_imported_again_is_the_same(stores: Stores, tmp_path: Path):
    await given_everything(stores)
    before = await tables(stores)

    report = await export_to(stores, tmp_path / "out")
    async with transaction(stores.database) as connection:
        await connection.execute(text("TRUNCATE posts, users, user_traits, exposures, behaviours, rejections"))
    elsewhere = replace(stores, pictures=PictureFolder(tmp_path / "other pictures"))
    again = await import_files(
        elsewhere, **{kind: report.folder / f"{kind}.jsonl" for kind in ("posts", "users", "exposures", "behaviours")}
    )

    assert (again.rejected, await tables(stores)) == (0, before)
    assert (report.posts, report.users, report.exposures, report.behaviours, report.pictures) == (6, 4, 2, 6, 2)
    assert (again.posts.accepted, again.users.accepted + again.users.duplicate) == (6, 4)
    assert again.posts.unknown_columns == {}
    assert elsewhere.pictures.holds(picture())


async def test_exported_pictures_carry_the_suffix_of_their_format(stores: Stores, tmp_path: Path):
    await given_posts(stores, "a", "b", "c")
    for post_id, encoding in (("a", "JPEG"), ("b", "PNG"), ("c", "WEBP")):
        await save_picture(stores, post_id, picture(encoding))

    await export_to(stores, tmp_path / "out")

    named = [json.loads(line)["picture"] for line in (tmp_path / "out" / "posts.jsonl").read_text().splitlines()]
    assert [Path(name).suffix for name in named] == [".jpg", ".png", ".webp"]
    assert all((tmp_path / "out" / name).is_file() for name in named)


async def test_a_picture_that_the_store_has_lost_is_counted_and_left_out(stores: Stores, tmp_path: Path):
    await given_posts(stores, "p1")
    await save_picture(stores, "p1", picture())
    [(picture_hash,)] = await rows(stores, "picture_hash FROM posts")
    stores.pictures.path(picture_hash).unlink()

    report = await export_to(stores, tmp_path / "out")

    assert (report.posts, report.pictures, report.pictures_lost) == (1, 0, 1)


async def test_an_export_never_writes_into_a_folder_in_use(stores: Stores, tmp_path: Path):
    (tmp_path / "notes.txt").touch()

    with pytest.raises(BadInput, match="not an empty folder"):
        await export_to(stores, tmp_path)


async def test_an_export_tells_how_far_it_is(stores: Stores, tmp_path: Path):
    await given_posts(stores, "p1", "p2")
    told: list[FileProgress] = []

    await export_to(stores, tmp_path / "out", told.append)

    assert [(one.kind, one.rows_done) for one in told] == [
        ("posts", 2),
        ("users", 0),
        ("exposures", 0),
        ("behaviours", 0),
    ]


@contextmanager
def files_of_at_most(size_bytes: int) -> Iterator[None]:
    """As on a full disk: the kernel refuses to let this process's files grow further."""
    usual = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size_bytes, usual[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, usual)


async def test_a_full_disk_ends_the_export_and_no_file_looks_whole(stores: Stores, tmp_path: Path):
    await save_posts(stores, [PostRecord(post_id=f"p{n}", title="t" * 1000) for n in range(100)])

    with files_of_at_most(20_000), pytest.raises(Unavailable, match=r"cannot write in .*make room"):
        await export_to(stores, tmp_path / "out")

    assert not list((tmp_path / "out").glob("*.jsonl"))


async def test_a_full_disk_ends_the_import_and_says_what_is_in(stores: Stores, tmp_path: Path):
    large = picture(size=(400, 300), quality=95)
    (tmp_path / "large.jpg").write_bytes(large)
    path = json_lines(tmp_path / "posts.jsonl", [{"post_id": "p1", "title": "t", "picture": "large.jpg"}])

    with files_of_at_most(len(large) // 2), pytest.raises(Unavailable, match=r"make room .*; 0 rows of posts.jsonl"):
        await import_files(stores, posts=path)

    assert (await import_files(stores, posts=path)).posts.accepted == 1
