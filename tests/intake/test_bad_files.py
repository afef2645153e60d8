from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.errors import BadInput, Unavailable
from app.intake.events import OTHER_EXPOSURE, UNKNOWN_POST
from app.intake.files import import_files
from app.storage.stores import Stores
from tests.intake.records import NOON, given_posts, rows
from tests.intake.written import json_lines, rejects

pytestmark = pytest.mark.anyio

SHOWN = '"post_id": "p1", "shown_at": 0}'
BAD_LINES = {
    '{"user_id": "u1", "post_id": "p1"}': "shown_at: is missing",
    '{"user_id": 7, ' + SHOWN: "user_id: must be a string; write numbers in quotes",
    '{"user_id": "' + "x" * 5000 + '", ' + SHOWN: "user_id: String should have at most 128 characters",
    '{"user_id": "a\\u0000b", ' + SHOWN: "user_id: must not be blank or contain control characters",
    '{"user_id": "\\ud800", ' + SHOWN: "is not JSON: unexpected end of hex escape",
    '{"user_id": "u1", "post_id": "p1", "shown_at": "2025-06-01T12:00:00"}': (
        "shown_at: has no offset: write 2025-06-01T08:00:00+08:00, or …Z for UTC, or Unix seconds"
    ),
    '{"user_id": "u1", "post_id": "nowhere", "shown_at": 0}': UNKNOWN_POST,
    '{"user_id": "u2", "exposure_id": "taken", ' + SHOWN: OTHER_EXPOSURE,
    '{"user_id": "u1", "behaviours": [{"kind": "stare", "at": 0}], ' + SHOWN: (
        "behaviours.0.kind: should be 'click', 'like', 'share', 'favourite' or 'comment'"
    ),
    '{"user_id": "u1", "behaviours": [{"kind": "click"}], ' + SHOWN: "behaviours.0.at: is missing",
    '{"user_id": "u1", "post_id"': "is not JSON: EOF while parsing an object",
    '["u1", "p1", 0]': "must be an object",
    "NaN": "must be an object",
}


async def test_bad_lines_are_told_with_number_and_reason_and_stop_nothing(stores: Stores, tmp_path: Path):
    await given_posts(stores, "p1")
    taken = '{"user_id": "u1", "post_id": "p1", "shown_at": 0, "exposure_id": "taken"}'
    last = '{"user_id": "last", "post_id": "p1", "shown_at": 0}'
    path = tmp_path / "log.jsonl"
    path.write_text("\n".join([taken, *BAD_LINES, "", last]))

    report = await import_files(stores, exposures=path)

    assert (report.exposures.accepted, report.exposures.rejected) == (2, len(BAD_LINES))
    assert report.rejects_files["exposures"] == stores.settings.home / "rejects" / "log.jsonl.rejects.jsonl"
    told = rejects(report, "exposures")
    assert [(line, reason) for line, reason, _ in told] == list(enumerate(BAD_LINES.values(), start=2))
    assert [raw for _, _, raw in told] == list(BAD_LINES)
    assert report.exposures.reasons["must be an object"] == 2
    assert await rows(stores, "user_id FROM exposures") == [("last",), ("u1",)]


async def test_bytes_that_are_no_text_are_a_bad_line(stores: Stores, tmp_path: Path):
    (tmp_path / "users.jsonl").write_bytes(b'\xef\xbb\xbf{"user_id": "u1"}\r\n{"user_id": "\xff\xfe"}\n')
    (tmp_path / "users.csv").write_bytes(b"\xef\xbb\xbfuser_id\r\nu2\r\n\xff\xfe\r\n")

    for name in ("users.jsonl", "users.csv"):
        report = await import_files(stores, users=tmp_path / name)
        assert (report.users.accepted, report.users.rejected) == (1, 1)
        assert rejects(report, "users")[0][2].count("\\xff") == 1


async def test_a_line_of_many_megabytes_is_bad_and_the_next_is_read(stores: Stores, tmp_path: Path):
    path = tmp_path / "users.jsonl"
    path.write_text('{"user_id": "' + "x" * (3 << 20) + '"}\n{"user_id": "u1"}\n')

    report = await import_files(stores, users=path)

    assert (report.users.accepted, report.users.reasons) == (1, {"is longer than 1 MiB": 1})
    assert report.rejects_files["users"].stat().st_size < 20_000


async def test_bad_rows_of_csv_are_told_by_their_line(stores: Stores, tmp_path: Path):
    path = tmp_path / "posts.csv"
    path.write_text('post_id,title,latitude,longitude\np1,"two\nlines",,\np2,t\np3,t,high,low\np4,"t"x,,\np5,t,1,2\n')

    report = await import_files(stores, posts=path)

    assert [(line, reason) for line, reason, _ in rejects(report, "posts")] == [
        (4, "has 2 cells where the header has 4"),
        (5, "latitude: should be a valid number"),
        (6, "is not CSV: ',' expected after '\"'"),
    ]
    assert await rows(stores, "post_id, latitude FROM posts") == [("p1", None), ("p5", 1.0)]


@pytest.mark.parametrize("rest", ["", '\nu-quoted,"{""age"": 24}"'], ids=["to the end", "to the next quote"])
async def test_a_quote_that_is_never_closed_costs_its_own_line_only(stores: Stores, tmp_path: Path, rest: str):
    path = tmp_path / "users.csv"
    good = [f"u{number}" for number in range(20_000)]
    path.write_text('user_id,attributes\nfirst,\nbad,"{\n' + "".join(f"{one},\n" for one in good) + "last," + rest)

    report = await import_files(stores, users=path)

    assert report.users.rejected == 1
    [(line, reason, raw)] = rejects(report, "users")
    assert (line, raw) == (3, 'bad,"{')
    assert reason.startswith("is not CSV")
    assert report.users.accepted == len(good) + 2 + bool(rest)


async def test_a_wish_for_no_personal_list_is_read_from_csv(stores: Stores, tmp_path: Path):
    path = tmp_path / "users.csv"
    path.write_text("user_id,personalised\nu1,false\nu2,true\nu3,\nu4,perhaps\n")

    report = await import_files(stores, users=path)

    assert report.users.rejected == 1
    assert await rows(stores, "user_id, personalised FROM users") == [("u1", False), ("u2", True), ("u3", True)]


async def test_rejects_of_an_earlier_import_give_way(stores: Stores, tmp_path: Path):
    path = json_lines(tmp_path / "users.jsonl", [{"user_id": ""}])
    first = await import_files(stores, users=path)
    json_lines(path, [{"user_id": "u1"}])

    second = await import_files(stores, users=path)

    assert second.rejects_files == {}
    assert not first.rejects_files["users"].exists()


@pytest.mark.parametrize("name", ["posts.jsonl", "posts.csv", "posts.parquet"])
async def test_an_empty_file_holds_no_rows(stores: Stores, tmp_path: Path, name: str):
    (tmp_path / name).touch()

    report = await import_files(stores, posts=tmp_path / name)

    assert (report.posts.accepted, report.rejected) == (0, 0)


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("nowhere.jsonl", None, "there is no file"),
        ("posts.xlsx", "", "cannot tell the format"),
        ("posts.csv", "post_id,name\np1,t\n", "has no column title; its columns are post_id, name"),
        ("posts.csv", "post_id,title,title\np1,t,t\n", "two columns of the same name"),
        ("posts.parquet", "PAR1 no more", "damaged or not Parquet"),
    ],
)
async def test_a_file_of_no_use_is_refused_with_the_remedy(
    stores: Stores, tmp_path: Path, name: str, text: Any, words: str
):
    if text is not None:
        (tmp_path / name).write_text(text)

    with pytest.raises(BadInput, match=words):
        await import_files(stores, posts=tmp_path / name)


async def test_all_files_are_looked_at_before_any_is_imported(stores: Stores, tmp_path: Path):
    with pytest.raises(BadInput, match="there is no file"):
        await import_files(
            stores,
            posts=json_lines(tmp_path / "posts.jsonl", [{"post_id": "p1", "title": "t"}]),
            exposures=tmp_path / "nowhere.jsonl",
        )

    assert await rows(stores, "* FROM posts") == []


async def test_times_of_parquet_keep_their_zone_and_naive_ones_are_refused(stores: Stores, tmp_path: Path):
    await given_posts(stores, "p1")
    nanoseconds = int(NOON.timestamp() * 1_000_000_000) + 789
    for zone in ("Asia/Shanghai", None):
        shown_at = pa.array([nanoseconds], pa.timestamp("ns", zone))
        path = tmp_path / f"{zone is None}.parquet"
        pq.write_table(pa.table({"user_id": ["u1"], "post_id": ["p1"], "shown_at": shown_at, "position": [3.0]}), path)

    zoned = await import_files(stores, exposures=tmp_path / "False.parquet")
    naive = await import_files(stores, exposures=tmp_path / "True.parquet")

    assert (zoned.exposures.accepted, naive.exposures.rejected) == (1, 1)
    assert rejects(naive, "exposures")[0][:2] == (1, next(iter(naive.exposures.reasons)))
    assert "has no offset" in rejects(naive, "exposures")[0][1]
    assert await rows(stores, "shown_at, position FROM exposures") == [(NOON, 3)]


async def test_a_dead_database_ends_the_import_with_what_is_in(stores: Stores, tmp_path: Path):
    nowhere = replace(stores.addresses, database_url="postgresql://tuwen@127.0.0.1:1/tuwen")
    path = json_lines(tmp_path / "users.jsonl", [{"user_id": "u1"}])

    with pytest.raises(Unavailable, match=r"PostgreSQL cannot be reached.*; 0 rows of users.jsonl are in"):
        await import_files(replace(stores, addresses=nowhere), users=path)


FULL_DISK = """
import asyncio, resource, sys
from pathlib import Path
from app.errors import Unavailable
from app.intake.rejects import RejectsFile
from app.settings import load_settings
from app.storage.stores import open_stores

async def main():
    async with open_stores(load_settings()) as stores:
        resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, 20_000))
        try:
            with RejectsFile(stores, Path("log.jsonl")) as rejects:
                for line in range(100):
                    rejects.add(line, "is bad", bytes(9_000))
        except Unavailable as problem:
            print(problem.message)

asyncio.run(main())
"""


async def test_a_full_disk_is_said_when_rejects_cannot_be_written(stores: Stores):
    environment = {
        "TUWEN_HOME": str(stores.settings.home),
        "TUWEN_DATABASE_URL": stores.addresses.database_url,
        "TUWEN_REDIS_URL": stores.addresses.redis_url,
    }
    program = [sys.executable, "-c", FULL_DISK]
    run = subprocess.run(program, env={**os.environ, **environment}, capture_output=True, text=True, check=True)

    assert "cannot write the rejects in" in run.stdout
    assert "make room" in run.stdout
    assert list(stores.settings.rejects.iterdir()) == []
