"""An import that is killed loses nothing it has told of, and doing it again finishes it."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from app.intake.files import EVENTS_AT_ONCE, import_files
from app.storage.stores import Stores
from tests.intake.records import given_posts, rows
from tests.intake.written import json_lines

pytestmark = pytest.mark.anyio

SUICIDE = """
import asyncio, os, signal, sys
from pathlib import Path
from app.intake.files import import_files
from app.settings import load_settings
from app.storage.stores import open_stores

async def main():
    async with open_stores(load_settings()) as stores:
        await import_files(stores, exposures=Path(sys.argv[1]), progress=lambda _: os.kill(os.getpid(), signal.SIGKILL))

asyncio.run(main())
"""


async def test_a_killed_import_is_finished_by_starting_it_again(stores: Stores, tmp_path: Path):
    await given_posts(stores, "p1")
    count = 2 * EVENTS_AT_ONCE + 1
    path = json_lines(tmp_path / "log.jsonl", [{"user_id": "u1", "post_id": "p1", "shown_at": n} for n in range(count)])
    addresses = {
        "TUWEN_HOME": str(stores.settings.home),
        "TUWEN_DATABASE_URL": stores.addresses.database_url,
        "TUWEN_REDIS_URL": stores.addresses.redis_url,
    }

    killed = subprocess.run([sys.executable, "-c", SUICIDE, path], env={**os.environ, **addresses}, check=False)
    [(committed,)] = await rows(stores, "count(*) FROM exposures")
    report = await import_files(stores, exposures=path)

    assert killed.returncode == -signal.SIGKILL
    assert EVENTS_AT_ONCE <= committed < count
    assert (report.exposures.duplicate, report.exposures.accepted) == (committed, count - committed)
