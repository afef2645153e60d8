from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from demo.children import ChildDied, child

pytestmark = pytest.mark.anyio


@pytest.fixture
def anyio_backend() -> str:
    return "asyncio"


async def test_a_child_that_ends_by_itself_is_reported_with_the_end_of_its_log(tmp_path: Path) -> None:
    async with child("timer", ["timeit", "--nonsense"], log=tmp_path / "timer.log", environment={}) as running:
        with pytest.raises(ChildDied, match=r"the timer ended with code 2\n(.|\n)*nonsense not recognized"):
            await running.watch()


async def test_a_child_ends_with_its_block_and_that_is_no_failure(tmp_path: Path) -> None:
    async with child(
        "server", ["http.server", "0", "--bind", "127.0.0.1"], log=tmp_path / "server.log", environment={}
    ) as running:
        watching = asyncio.create_task(running.watch())
        assert running.process.returncode is None

    await watching
    assert running.process.returncode is not None
    with pytest.raises(ProcessLookupError):
        os.kill(running.process.pid, 0)


async def test_a_child_sees_the_settings_it_is_given(tmp_path: Path) -> None:
    log = tmp_path / "sysconfig.log"
    async with child("lister", ["site", "--user-base"], log=log, environment={"PYTHONUSERBASE": "/given"}) as running:
        await running.process.wait()

    assert log.read_text().strip() == "/given"
