"""From the log in the stores to a generation that was trained on it, and on from there."""

import json
from dataclasses import replace

import pytest

from app.candidates.encode import start_sizes
from app.candidates.generation import GenerationFolder
from app.candidates.reindex import run_reindex
from app.errors import BadInput
from app.plan import load_plan
from app.storage.postgres import sync_engine
from app.trainer import train_once
from app.training.cycle import _catalogue
from models.artefact import WEIGHTS, same_weights
from tests.candidates.worlds import fill
from tests.toy_world import ToyWorld

pytestmark = [pytest.mark.anyio, pytest.mark.slow]


@pytest.fixture
def settings(settings, small_plan):
    return settings.model_copy(update={"plan": small_plan, "threads": 1})


@pytest.fixture
def engine(stores):
    engine = sync_engine(stores.addresses.database_url)
    yield engine
    engine.dispose()


async def train(stores, engine, tell=lambda _: None) -> str:
    trained = await train_once(stores, engine, requested_by="test", tell=tell, progress=lambda *_: None)
    return trained.generation


async def test_a_cycle_publishes_a_generation_with_report_and_curves(stores, engine):
    await fill(stores, ToyWorld())

    generation = await train(stores, engine)

    folder = GenerationFolder(stores.settings.generations)
    report = folder.report(generation)
    assert folder.current() == generation
    assert folder.manifest(generation).origin == "trained"
    assert folder.curves(generation).startswith(b"\x89PNG")
    assert report["log"]["samples"] == pytest.approx(3 * 0.9 * 60 * 40, rel=0.02)
    assert report["curves"]["behaviour_loss"][-1] < report["curves"]["behaviour_loss"][0]
    assert 200 <= report["evaluation"]["samples"] <= 260
    assert sum(group["samples"] for group in report["evaluation"]["groups"].values()) == report["evaluation"]["samples"]
    assert sum(size for _, _, size in report["evaluation"]["behaviours"]["click"]["reliability"]) >= 200


async def test_the_next_cycle_continues_from_the_network_with_what_is_new(stores, engine):
    await fill(stores, ToyWorld(users_count=40))
    first = await train(stores, engine)
    await fill(stores, ToyWorld(users_count=60), pictures=False)

    second = await train(stores, engine)

    folder = GenerationFolder(stores.settings.generations)
    report = folder.report(second)
    assert report["continued_from"] == first
    assert report["log"]["samples"] < 0.75 * 3 * 60 * 40
    assert not same_weights(folder.load(first).network, folder.load(second).network)


async def test_a_reindex_keeps_the_trained_network_and_where_it_had_read_to(stores, engine):
    await fill(stores, ToyWorld(users_count=20))
    trained = await train(stores, engine)

    reindexed = await run_reindex(stores, requested_by="test")

    folder = GenerationFolder(stores.settings.generations)
    assert folder.manifest(reindexed).origin == "reindexed"
    assert same_weights(folder.load(trained).network, folder.load(reindexed).network)
    assert folder.report(reindexed)["log"] == folder.report(trained)["log"]


async def test_a_cancelled_cycle_is_resumed_where_it_was(stores, engine):
    await fill(stores, ToyWorld())

    def stop(report):
        if report.step == 12:
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        await train(stores, engine, tell=stop)
    notes = json.loads((stores.settings.home / "training" / "cycle.json").read_text())
    steps = []
    generation = await train(stores, engine, tell=lambda report: steps.append(report.step))

    assert steps[0] == 11, "the checkpoint of step 10 was used"
    report = GenerationFolder(stores.settings.generations).report(generation)
    assert report["log"]["arrived_until"] == notes["arrived_until"]
    assert not (stores.settings.home / "training" / "cycle.json").exists()


async def test_beside_a_damaged_generation_the_next_cycle_continues_from_the_one_before(stores, engine):
    await fill(stores, ToyWorld(users_count=20))
    first = await train(stores, engine)
    damaged = await run_reindex(stores, requested_by="test")
    await fill(stores, ToyWorld(users_count=30), pictures=False)
    folder = GenerationFolder(stores.settings.generations)
    weights = folder.path(damaged) / WEIGHTS
    weights.write_bytes(weights.read_bytes()[:-1])

    second = await train(stores, engine)

    assert folder.report(second)["continued_from"] == first
    assert folder.load_best().manifest.generation == second


async def test_a_cycle_whose_base_was_damaged_meanwhile_is_begun_anew(stores, engine):
    await fill(stores, ToyWorld(users_count=20))
    first = await train(stores, engine)
    await fill(stores, ToyWorld(users_count=30), pictures=False)

    def stop(report):
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        await train(stores, engine, tell=stop)
    folder = GenerationFolder(stores.settings.generations)
    (folder.path(first) / "report.json").write_text("{")
    second = await train(stores, engine)

    assert folder.report(second)["continued_from"] is None, "nothing else was whole"


async def test_a_cycle_whose_notes_are_damaged_is_begun_anew_and_its_checkpoint_is_not_used(stores, engine):
    await fill(stores, ToyWorld(users_count=20))

    def stop(report):
        if report.step == 7:
            raise RuntimeError("killed")

    with pytest.raises(RuntimeError, match="killed"):
        await train(stores, engine, tell=stop)
    notes = stores.settings.home / "training" / "cycle.json"
    notes.write_text(json.dumps(json.loads(notes.read_text()) | {"arrived_until": 5}))
    steps = []
    generation = await train(stores, engine, tell=lambda report: steps.append(report.step))

    assert steps[0] == 1
    assert GenerationFolder(stores.settings.generations).current() == generation


async def test_a_cycle_goes_on_after_a_reindex_and_is_begun_anew_after_a_roll_back(stores, engine):
    await fill(stores, ToyWorld(users_count=20))
    first = await train(stores, engine)
    await fill(stores, ToyWorld(users_count=30), pictures=False)
    await train(stores, engine)
    await fill(stores, ToyWorld(users_count=40), pictures=False)
    folder, steps = GenerationFolder(stores.settings.generations), []

    def stop(report):
        steps.append(report.step)
        if report.step == 12:
            raise RuntimeError("killed")

    async def killed():
        with pytest.raises(RuntimeError, match="killed"):
            await train(stores, engine, tell=stop)

    await killed()
    await run_reindex(stores, requested_by="test")
    await killed()
    assert steps[steps.index(12) + 1] == 11, "the same cycle went on"

    folder.promote(first)
    third = await train(stores, engine)
    assert folder.report(third)["continued_from"] == first


async def test_tokens_of_the_same_backbones_are_read_once(stores, small_plan):
    await fill(stores, ToyWorld(users_count=1))
    catalogue = await _catalogue(stores)
    sizes = start_sizes(**load_plan(small_plan)[1])
    others = replace(sizes, semantic_width=2 * sizes.semantic_width)

    assert catalogue.table_of(stores)(others) is catalogue.table(sizes, stores.settings.home)


async def test_without_any_log_there_is_nothing_to_train_on(stores, engine):
    await fill(stores, replace(ToyWorld(), users_count=0))

    with pytest.raises(BadInput, match="no exposure log yet"):
        await train(stores, engine)
