"""Rejects files and the erased: rows that name them go, whoever writes the file and whenever."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from app.intake.files import import_files
from app.intake.rejects import RejectsFile, delete_rejects
from app.intake.users import erase_user
from app.storage.stores import Stores
from tests.intake.records import given_posts
from tests.intake.written import json_lines

pytestmark = pytest.mark.anyio

KILLED = """
import asyncio, os, signal, sys
from pathlib import Path
from app.intake.rejects import RejectsFile
from app.settings import load_settings
from app.storage.stores import open_stores

async def main():
    async with open_stores(load_settings()) as stores:
        with RejectsFile(stores, Path("log.jsonl")) as rejects:
            rejects.add(1, "is bad", b'{"user_id": "erased-one"}' + bytes(20_000))
            os.kill(os.getpid(), signal.SIGKILL)

asyncio.run(main())
"""


def left(stores: Stores) -> bytes:
    """All that the folder holds."""
    return b"".join(file.name.encode() + file.read_bytes() for file in stores.settings.rejects.glob("*"))


async def test_rows_of_the_erased_are_not_written_down_again(stores: Stores, tmp_path: Path):
    await given_posts(stores, "p1")
    for user_id in ("erased-one", "7", "用户 七"):
        await erase_user(stores, user_id, actor="test")
    lines = [
        {"user_id": "erased-one", "post_id": "p1"},
        {"user_id": 7, "post_id": "p1", "shown_at": 0},
        {"user_id": "u1", "post_id": "p1", "behaviours": [{"of": "用户 七"}]},
        {"user_id": "u1", "post_id": "p1"},
    ]
    path = json_lines(tmp_path / "log.jsonl", lines)
    path.write_text(path.read_text() + '{"user_id": "erased-one", "shown_at\n')

    report = await import_files(stores, exposures=path)

    assert report.exposures.rejected == 5
    assert b'"line": 4' in left(stores)
    assert left(stores).count(b"\n") == 1


async def test_cells_that_name_the_erased_are_not_written_down_again(stores: Stores, tmp_path: Path):
    await erase_user(stores, "用户 七", actor="test")
    path = tmp_path / "users.csv"
    path.write_text('user_id,attributes\n"用户 七",not JSON\nu1,"{""friend"": ""用户 七""}",\n')

    report = await import_files(stores, users=path)

    assert report.users.rejected == 2
    assert report.rejects_files == {}
    assert left(stores) == b""


async def test_an_import_under_way_keeps_no_row_of_a_person_erased_meanwhile(stores: Stores):
    with RejectsFile(stores, Path("log.jsonl")) as rejects:
        rejects.add(1, "is bad", b'{"user_id": "erased-one"}')
        rejects.add(2, "is bad", b'{"user_id": "u1"}')
        await erase_user(stores, "erased-one", actor="test")
        rejects.add(3, "is bad", b'{"user_id": "erased-one"}')

    assert b'"line": 2' in left(stores)
    assert b"erased-one" not in left(stores)


@pytest.mark.parametrize("first", ["erasure", "import"])
@pytest.mark.parametrize(
    ("user_id", "row"),
    [
        ("a/b", r'{"user_id": "a\/b", "shown_at'),
        ("zoé", r'{"user_id": "zo\u00E9", "shown_at": 0}'),
        ("ann", r'{"of": ["\u0061nn"]}'),
        ('the "best"', 'x,"the ""best""",y'),
        ("🙂", r'"{""friend"": ""\uD83D\uDE42""}",y'),
        ("70", '{"user_id": 7e1}'),
    ],
)
async def test_an_erased_id_is_found_however_it_is_written(stores: Stores, first: str, user_id: str, row: str):
    if first == "erasure":
        await erase_user(stores, user_id, actor="test")
    with RejectsFile(stores, Path("log.jsonl")) as rejects:
        rejects.add(1, "is bad", row.encode())
        rejects.add(2, "is bad", rb'{"user_id": "a\/c", "at": 8e1}')
    if first == "import":
        await erase_user(stores, user_id, actor="test")

    assert left(stores).count(b"\n") == 1
    assert b'"line": 2' in left(stores)


@pytest.mark.parametrize("by", ["erasure", "retention"])
async def test_what_a_killed_import_or_erasure_left_behind_goes(stores: Stores, by: str):
    environment = {
        "TUWEN_HOME": str(stores.settings.home),
        "TUWEN_DATABASE_URL": stores.addresses.database_url,
        "TUWEN_REDIS_URL": stores.addresses.redis_url,
    }
    killed = subprocess.run([sys.executable, "-c", KILLED], env={**os.environ, **environment}, check=False)
    (stores.settings.rejects / ".old.rejects.jsonl.erasing").write_text("erased-one")
    names_before = [file.name for file in stores.settings.rejects.iterdir()]

    if by == "erasure":
        await erase_user(stores, "erased-one", actor="test")
    else:
        delete_rejects(stores.settings.rejects, before=None)

    assert killed.returncode == -signal.SIGKILL
    assert len(names_before) == 2
    assert list(stores.settings.rejects.iterdir()) == []
