"""The trainer watches the log for ever, whatever goes wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from app.candidates.generation import GenerationFolder
from app.candidates.reindex import run_reindex
from app.trainer import run_trainer
from tests.candidates.worlds import fill
from tests.toy_world import ToyWorld

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
PATIENCE_SECONDS = 60


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():
            await asyncio.sleep(0.1)


async def test_an_error_that_nobody_foresaw_does_not_end_the_trainer(stores, small_plan, caplog):
    hurried = {"plan": small_plan, "threads": 1, "trainer_interval_minutes": 0.001}
    settings = stores.settings.model_copy(update=hurried)
    await fill(stores, ToyWorld(users_count=20))
    untrained = await run_reindex(stores, requested_by="test")
    in_the_way = settings.home / "training"  # a file where the trainer wants to keep its notes
    in_the_way.write_text("")
    folder = GenerationFolder(settings.generations)

    trainer = asyncio.create_task(run_trainer(settings))
    try:
        await until(lambda: "an unexpected error; the trainer goes on" in caplog.text or trainer.done())
        assert folder.current() == untrained
        in_the_way.unlink()
        await until(lambda: folder.current() != untrained or trainer.done())
        assert not trainer.done()
    finally:
        trainer.cancel()

    assert folder.manifest(folder.current()).origin == "trained"
