from __future__ import annotations

import asyncio
import os
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from app.domain import PictureStatus
from app.intake import files
from app.intake.files import import_files
from app.intake.report import FileProgress
from app.storage.stores import Stores
from tests.intake.records import NOON, given_posts, picture, rows
from tests.intake.written import csv_file, json_lines, parquet_file

pytestmark = pytest.mark.anyio

POSTS = [
    {"post_id": "p1", "title": "小龙虾", "category": "food", "latitude": 31.23, "longitude": 121.47, "tags": ["hot"]},
    {
        "post_id": "p2",
        "title": '外滩, "夜景"\n第二行',
        "attributes": {"price": 0},
        "published_at": "2025-06-01T08:00:00+08:00",
    },
]
USERS = [{"user_id": "u1", "attributes": {"age": 24, "gender": "M"}}, {"user_id": "u2"}]
EXPOSURES = [
    {"exposure_id": "e1", "user_id": "u1", "post_id": "p1", "shown_at": "2025-06-01T12:00:00Z", "position": 0},
    {
        "user_id": "u3",
        "post_id": "p2",
        "shown_at": 1748779200,
        "scene": "home",
        "behaviours": [{"kind": "click", "at": 1748779201}, {"kind": "like", "at": "2025-06-01T12:00:02Z"}],
    },
]
CONTENT = {
    "posts": "post_id, title, category, latitude, longitude, tags, published_at, attributes FROM posts",
    "users": "user_id, attributes FROM users",
    "exposures": "exposure_id, user_id, post_id, shown_at, position, scene FROM exposures",
    "behaviours": "behaviour_id, user_id, post_id, kind, at, exposure_id FROM behaviours",
}


async def content(stores: Stores) -> dict[str, Any]:
    return {table: await rows(stores, columns) for table, columns in CONTENT.items()}


@pytest.mark.parametrize(("suffix", "write"), [("jsonl", json_lines), ("csv", csv_file), ("parquet", parquet_file)])
async def test_every_format_says_the_same(stores: Stores, tmp_path: Path, suffix: str, write: Any):
    paths = {
        kind: write(tmp_path / f"{kind}.{suffix}", records)
        for kind, records in (("posts", POSTS), ("users", USERS), ("exposures", EXPOSURES))
    }

    report = await import_files(stores, **paths)

    assert (report.rejected, report.posts.accepted, report.users.accepted) == (0, 2, 2)
    assert (report.exposures.accepted, report.behaviours.accepted) == (2, 2)
    tables = await content(stores)
    assert tables["posts"] == [
        ("p1", "小龙虾", "food", 31.23, 121.47, ["hot"], None, {}),
        ("p2", '外滩, "夜景"\n第二行', None, None, None, [], NOON - timedelta(hours=12), {"price": 0}),
    ]
    assert tables["users"] == [("u1", {"age": 24, "gender": "M"}), ("u2", {}), ("u3", {})]
    assert [row[1:] for row in tables["exposures"]] == [("u3", "p2", NOON, None, "home"), ("u1", "p1", NOON, 0, None)]
    assert sorted((row[3], row[4] - NOON) for row in tables["behaviours"]) == [
        ("click", timedelta(seconds=1)),
        ("like", timedelta(seconds=2)),
    ]


async def test_importing_twice_changes_nothing(stores: Stores, tmp_path: Path):
    paths = {
        "posts": json_lines(tmp_path / "posts.jsonl", POSTS),
        "users": json_lines(tmp_path / "users.jsonl", USERS),
        "exposures": json_lines(tmp_path / "exposures.jsonl", EXPOSURES),
    }
    await import_files(stores, **paths)
    before = [await rows(stores, f"* FROM {table}") for table in CONTENT]

    report = await import_files(stores, **paths)

    assert [await rows(stores, f"* FROM {table}") for table in CONTENT] == before
    assert (report.posts.duplicate, report.users.duplicate) == (2, 2)
    assert (report.exposures.duplicate, report.behaviours.duplicate) == (2, 2)


async def test_unknown_columns_are_ignored_and_counted(stores: Stores, tmp_path: Path):
    records = [{"post_id": "p1", "title": "t", "genres": ["Comedy"]}, {"post_id": "p2", "title": "t", "genres": []}]

    report = await import_files(stores, posts=json_lines(tmp_path / "posts.jsonl", records))

    assert (report.posts.accepted, report.posts.unknown_columns) == (2, {"genres": 2})


async def test_a_users_file_without_attributes_wipes_nobodys(stores: Stores, tmp_path: Path):
    await import_files(stores, users=json_lines(tmp_path / "users.jsonl", USERS))
    (tmp_path / "users.csv").write_text("user_id,age\nu1,30\n")

    report = await import_files(stores, users=tmp_path / "users.csv")

    assert report.users.unknown_columns == {"age": 1}
    assert await rows(stores, "attributes FROM users WHERE user_id = 'u1'") == [({"age": 24, "gender": "M"},)]


async def test_pictures_come_from_beside_the_file_and_nowhere_else(stores: Stores, tmp_path: Path):
    folder = tmp_path / "catalogue"
    (folder / "pictures").mkdir(parents=True)
    (folder / "pictures" / "good.jpg").write_bytes(picture())
    (folder / "pictures" / "text.jpg").write_text("no picture")
    (tmp_path / "secret.jpg").write_bytes(picture(size=(20, 20)))
    (folder / "link.jpg").symlink_to(tmp_path / "secret.jpg")
    (folder / "circle.jpg").symlink_to(folder / "circle.jpg")
    os.mkfifo(folder / "pipe.jpg")
    named = {
        "good": "pictures/good.jpg",
        "text": "pictures/text.jpg",
        "gone": "pictures/gone.jpg",
        "above": "../secret.jpg",
        "absolute": str(tmp_path / "secret.jpg"),
        "link": "link.jpg",
        "circle": "circle.jpg",
        "pipe": "pipe.jpg",
        "folder": "pictures",
        "long": "x" * 900,
        "none": None,
    }
    records = [{"post_id": name, "title": "t", "picture": path} for name, path in named.items()]

    report = await import_files(stores, posts=json_lines(folder / "posts.jsonl", records))

    statuses = dict(await rows(stores, "post_id, picture_status FROM posts"))
    assert report.posts.accepted == len(named)
    assert {name: status for name, status in statuses.items() if status != "missing"} == {
        "good": "stored",
        "text": "unreadable",
        "none": "none",
    }
    assert report.pictures == {PictureStatus.STORED: 1, PictureStatus.UNREADABLE: 1, PictureStatus.MISSING: 8}


async def test_the_same_file_imported_twice_at_once(stores: Stores, tmp_path: Path):
    await given_posts(stores, "p1")
    records = [
        {"user_id": f"u{n % 50}", "post_id": "p1", "shown_at": n, "behaviours": [{"kind": "like", "at": n}]}
        for n in range(3000)
    ]
    path = json_lines(tmp_path / "log.jsonl", records)

    reports = await asyncio.gather(*(import_files(stores, exposures=path) for _ in range(3)))

    assert sum(report.exposures.accepted for report in reports) == 3000
    assert sum(report.exposures.duplicate for report in reports) == 6000
    assert len(await rows(stores, "* FROM behaviours")) == 3000


async def test_behaviours_may_have_a_file_of_their_own(stores: Stores, tmp_path: Path):
    await import_files(
        stores,
        posts=json_lines(tmp_path / "posts.jsonl", POSTS),
        exposures=json_lines(tmp_path / "exposures.jsonl", EXPOSURES),
    )
    records = [{"exposure_id": "e1", "kind": "share", "at": 1748779999}, {"exposure_id": "e1", "kind": "share"}]

    report = await import_files(stores, behaviours=json_lines(tmp_path / "behaviours.jsonl", records))

    assert (report.behaviours.accepted, report.behaviours.reasons) == (1, {"at: is missing": 1})
    assert ("u1", "p1", "share") in [row[1:4] for row in (await content(stores))["behaviours"]]


async def test_progress_reaches_the_end_of_the_file(stores: Stores, tmp_path: Path):
    path = json_lines(tmp_path / "users.jsonl", [{"user_id": f"u{n}"} for n in range(files.USERS_AT_ONCE + 1)])
    told: list[FileProgress] = []

    await import_files(stores, users=path, progress=told.append)

    assert [one.rows_done for one in told] == [files.USERS_AT_ONCE, files.USERS_AT_ONCE + 1]
    assert (told[-1].kind, told[-1].bytes_done, told[-1].bytes_total) == (
        "users",
        path.stat().st_size,
        path.stat().st_size,
    )
