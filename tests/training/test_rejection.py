"""A training that made things worse: its generation is kept with the reason, and the old one serves on."""

from dataclasses import replace
from pathlib import Path

import pytest

from app.candidates.generation import GenerationFolder
from app.candidates.listing import latest_rejection, list_generations
from app.candidates.reindex import run_reindex
from app.errors import BadSettings
from app.plan import load_plan
from app.settings import Settings
from app.storage.postgres import SyncEngine, sync_engine
from app.storage.stores import Stores
from app.trainer import Duties, Trained, train_once
from app.training.cycle import learnt_until, new_exposures
from tests.candidates.worlds import fill
from tests.toy_world import ToyWorld

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
RUINOUS = "continued_learning_rate = 5.0\n"
WORLD = ToyWorld(posts_count=40, users_count=24, showings_each=20)
FIVE_MORE = replace(WORLD, users_count=29)


@pytest.fixture
def settings(settings: Settings, small_plan: Path) -> Settings:
    """Whatever continues from a trained network is ruined."""
    plan = small_plan.read_text().replace("epochs = 3", "epochs = 2")
    small_plan.write_text(plan.replace("[network]", f"{RUINOUS}[network]"))
    return settings.model_copy(update={"plan": small_plan, "threads": 1, "trainer_minimum_exposures": 100})


@pytest.fixture
def engine(stores):
    engine = sync_engine(stores.addresses.database_url)
    yield engine
    engine.dispose()


async def train(stores: Stores, engine: SyncEngine) -> Trained:
    return await train_once(stores, engine, requested_by="test", tell=lambda _: None, progress=lambda *_: None)


def waiting(stores: Stores, engine: SyncEngine) -> int:
    plan, sizes = load_plan(stores.settings.plan)
    return new_exposures(stores, engine, plan, sizes=sizes)


async def test_a_worse_network_is_kept_with_its_reason_and_the_old_one_serves_on(stores, engine, caplog):
    folder = GenerationFolder(stores.settings.generations)
    await fill(stores, WORLD, pictures=False)
    good = await train(stores, engine)
    await fill(stores, FIVE_MORE, pictures=False)
    duties = Duties(stores, engine, trained_at=float("inf"), reindexed_at=float("inf"), tidied_at=float("inf"))

    await duties.look()

    bad, _ = list_generations(folder)
    assert good.rejected is None
    assert folder.current() == good.generation
    assert (bad.word, bad.serving) == ("rejected", False)
    assert latest_rejection(folder) == bad.rejected
    assert "log-loss" in str(bad.rejected)
    assert f"{bad.generation} is rejected, the old one serves on: {bad.rejected}" in caplog.text
    assert folder.report(bad.generation)["gate"]["against"] == good.generation

    await duties.look()
    assert len(folder.ids()) == 2, "the trainer does not try the same log again"
    reindexed = await run_reindex(stores, requested_by="test")
    assert folder.manifest(reindexed).rejected is None
    assert waiting(stores, engine) == 0, "nor after a reindex"
    assert latest_rejection(folder) == bad.rejected, "nor is it told less of for that"
    assert learnt_until(stores, folder.load(reindexed).network.sizes)[0] == reindexed, "the next one continues here"

    await fill(stores, replace(WORLD, users_count=31), pictures=False)
    assert waiting(stores, engine) == 2 * 20, "more log is another matter"
    stores.settings.plan.write_text(stores.settings.plan.read_text().replace(RUINOUS, ""))
    assert waiting(stores, engine) == 7 * 20, "so is another plan, for all that the serving one has not learnt"

    folder.promote(bad.generation)
    assert latest_rejection(folder) is None
    assert {one.word for one in list_generations(folder) if one.serving} == {"serving, promoted by hand"}


async def test_with_the_gate_off_every_trained_network_serves(stores, engine):
    plan = stores.settings.plan
    plan.write_text(plan.read_text() + "[gate]\nenabled = false\n")
    await fill(stores, WORLD, pictures=False)
    await train(stores, engine)
    await fill(stores, FIVE_MORE, pictures=False)

    ruined = await train(stores, engine)

    folder = GenerationFolder(stores.settings.generations)
    assert folder.current() == ruined.generation
    assert folder.report(ruined.generation)["gate"] is None


async def test_a_training_that_diverges_says_what_to_change_and_leaves_nothing_behind(stores, engine):
    plan = stores.settings.plan
    plan.write_text(plan.read_text().replace("learning_rate = 0.003", "learning_rate = 1e38"))
    await fill(stores, replace(WORLD, users_count=12), pictures=False)

    with pytest.raises(BadSettings, match="lower learning_rate"):
        await train(stores, engine)

    assert not list((stores.settings.home / "training").iterdir())
    assert GenerationFolder(stores.settings.generations).ids() == []
