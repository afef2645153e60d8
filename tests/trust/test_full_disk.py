"""Row 10: the disk fills up while a generation is built; the old one serves, the job says why, the space comes back."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from app.candidates.generation import TEMPORARY, GenerationFolder
from app.candidates.reindex import run_reindex
from app.errors import Unavailable
from app.settings import Settings
from app.storage.jobs import JobState, latest_jobs
from app.storage.stores import Stores
from tests.candidates.worlds import fill
from tests.toy_world import ToyWorld
from tests.trust.figures import Row

pytestmark = pytest.mark.anyio
DISK_BYTES = 8 << 20


@pytest.fixture
def settings(settings: Settings, small_plan: Path) -> Iterator[Settings]:
    """A home whose generations lie on a small disk of their own."""
    settings = settings.model_copy(update={"plan": small_plan})
    settings.generations.mkdir(parents=True)
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(settings.generations)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("only root can make a small disk; tests/candidates/test_full_disk.py does it by a limit")
    yield settings
    subprocess.run(["umount", "--lazy", str(settings.generations)], check=True)


def free_bytes(folder: Path) -> int:
    figures = os.statvfs(folder)
    return figures.f_bavail * figures.f_frsize


@pytest.mark.trust(10)
async def test_a_full_disk_costs_the_new_generation_only(stores: Stores, row: Row, at_full):
    await fill(stores, ToyWorld(posts_count=60, users_count=4, showings_each=5), pictures=False)
    serving = await run_reindex(stores, requested_by="test")
    at, folder = stores.settings.generations, GenerationFolder(stores.settings.generations)
    size = sum(file.stat().st_size for file in folder.path(serving).iterdir())
    shares = [number / at_full(3, 20) for number in range(at_full(3, 20))]
    counts = {"old_lost": 0, "not_failed": 0, "without_a_reason": 0, "space_kept": 0}
    for share in shares:
        ballast = at / "ballast"
        ballast.write_bytes(b"x" * (free_bytes(at) - int(share * size)))
        before = free_bytes(at)

        with pytest.raises(Unavailable):
            await run_reindex(stores, requested_by="test")

        [job] = await latest_jobs(stores.database, limit=1)
        counts["old_lost"] += folder.current() != serving or folder.ids() != [serving]
        counts["not_failed"] += job.state is not JobState.FAILED
        counts["without_a_reason"] += "No space left" not in (job.error or "") and "free space" not in (job.error or "")
        counts["space_kept"] += free_bytes(at) < before or bool(list(at.glob(f"{TEMPORARY}2*")))
        ballast.unlink()
    folder.load(serving)
    another = await run_reindex(stores, requested_by="test")

    row.done = f"{len(shares)} builds on a disk of 8 MB with room for 0 to {100 * shares[-1]:.0f} % of a generation"
    row.none(**counts)
    assert folder.current() == another
