"""From posts in the stores to a view that requests can use, and its freshness."""

import asyncio
from contextlib import asynccontextmanager, contextmanager, suppress
from datetime import UTC, datetime

import numpy as np
import psycopg
import pytest
from sqlalchemy import text

from app.candidates.encode import TOKENS_FILE
from app.candidates.generation import POINTER, GenerationFolder
from app.candidates.reindex import run_reindex
from app.candidates.serving import POLL_SECONDS, ServingCandidates
from app.errors import Conflict, Unavailable
from app.intake.posts import PostRecord, delete_post, save_posts, set_hidden, set_pinned
from app.storage.jobs import JobKind, JobState, create_job, latest_jobs
from app.storage.postgres import transaction
from tests.candidates.worlds import contents, fill
from tests.toy_world import ToyWorld

pytestmark = pytest.mark.anyio
WORLD = ToyWorld(posts_count=12, users_count=4, showings_each=6)
PATIENCE_SECONDS = 20


@pytest.fixture
def settings(settings, small_plan):
    return settings.model_copy(update={"plan": small_plan})


@pytest.fixture
async def serving(stores):
    await fill(stores, WORLD)
    await run_reindex(stores, requested_by="test")
    serving = ServingCandidates(stores)
    await serving.refresh()
    return serving


@asynccontextmanager
async def running(serving: ServingCandidates):
    task = asyncio.create_task(serving.run())
    yield
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def until(condition) -> None:
    async with asyncio.timeout(PATIENCE_SECONDS):
        while not condition():
            await asyncio.sleep(0.02)


async def test_changes_are_seen_after_the_clock_of_the_database_was_set_back(stores, serving):
    hidden, deleted, ahead = list(serving.view().columns.post_ids)[:3]
    await save_posts(stores, [PostRecord(post_id=ahead, title="another title")])
    async with transaction(stores.database) as connection:  # as it is stamped before a clock is set back by an hour
        await connection.execute(text("UPDATE posts SET changed_at = changed_at + interval '1 hour'"))
    await serving.refresh()

    await set_hidden(stores, hidden, hidden=True)
    await delete_post(stores, deleted)
    await serving.refresh()

    view = serving.view()
    assert not any(view.alive[view.row_of[post]] for post in (hidden, deleted) if post in view.row_of)


async def test_a_reindex_on_a_machine_whose_clock_is_ahead_of_the_database_misses_no_change(stores, database_url):
    await fill(stores, WORLD)
    with psycopg.connect(database_url, autocommit=True) as owner:
        set_clock_back(owner, hours=2)
        await stores.database.dispose()
        await run_reindex(stores, requested_by="test")
        hidden = next(iter(GenerationFolder(stores.settings.generations).load_best().columns.post_ids))
        await set_hidden(stores, hidden, hidden=True)
        set_clock_back(owner, hours=1)  # an hour later

        serving = ServingCandidates(stores)
        await serving.refresh()

    view = serving.view()
    assert len(view.columns) == WORLD.posts_count
    assert not view.alive[view.row_of[hidden]]


def set_clock_back(owner: psycopg.Connection, *, hours: int) -> None:
    """Let the database's clock be behind this machine's, in every session that begins after the first call."""
    owner.execute("CREATE SCHEMA IF NOT EXISTS behind")
    for clock in ("now", "clock_timestamp"):
        owner.execute(f"""CREATE OR REPLACE FUNCTION behind.{clock}() RETURNS timestamptz LANGUAGE sql AS
            $$ SELECT pg_catalog.{clock}() - interval '{hours} hours' $$""")
    owner.execute(f"ALTER DATABASE {owner.info.dbname} SET search_path = behind, pg_catalog, public")


async def test_before_the_first_generation_there_is_no_view(stores):
    serving = ServingCandidates(stores)
    await serving.refresh()

    with pytest.raises(Unavailable, match="reindex"):
        serving.view()


async def test_an_empty_catalogue_can_be_indexed_and_filled_later(stores):
    await run_reindex(stores, requested_by="test")
    serving = ServingCandidates(stores)
    await serving.refresh()
    assert len(serving.view().columns) == 0

    async with running(serving):
        await save_posts(stores, [PostRecord.model_validate({"post_id": "only", "title": "the only one"})])
        await until(lambda: "only" in serving.view().row_of)

    assert serving.view().alive.sum() == 1


async def test_all_posts_are_candidates_after_a_reindex(serving):
    view = serving.view()

    assert set(view.columns.post_ids) == {post.post_id for post in WORLD.posts}
    assert view.alive.all()
    assert np.allclose(np.linalg.norm(view.vectors.base, axis=1), 1, atol=1e-5)


async def test_a_new_post_becomes_a_candidate_without_a_reindex(serving, stores):
    generation = serving.view().generation

    async with running(serving):
        await save_posts(stores, [PostRecord.model_validate({"post_id": "new", "title": "海滩 日落"})])
        await until(lambda: "new" in serving.view().row_of and serving.view().alive[serving.view().row_of["new"]])

    assert serving.view().generation == generation


async def test_a_hidden_and_a_deleted_post_vanish_with_the_next_look(serving, stores):
    await set_hidden(stores, "p1", hidden=True)
    await delete_post(stores, "p2")

    await serving.refresh()

    view = serving.view()
    assert [post for post, alive in zip(view.columns.post_ids, view.alive, strict=True) if not alive] == ["p1", "p2"]


async def test_pins_count_at_the_next_look_the_latest_first_and_outlive_a_reindex(serving, stores):
    for post_id in ("p1", "p2", "p3"):
        await set_pinned(stores, post_id, pinned=True)
    await set_hidden(stores, "p2", hidden=True)
    await serving.refresh()
    assert serving.view().pinned == ["p3", "p1"]

    await run_reindex(stores, requested_by="test")
    await serving.refresh()
    assert serving.view().pinned == ["p3", "p1"]

    await set_pinned(stores, "p3", pinned=False)
    await serving.refresh()
    assert serving.view().pinned == ["p1"]


async def test_a_shown_again_post_comes_back(serving, stores):
    await set_hidden(stores, "p1", hidden=True)
    await serving.refresh()
    await set_hidden(stores, "p1", hidden=False)

    await serving.refresh()

    view = serving.view()
    assert view.alive[view.row_of["p1"]]


async def test_a_post_hidden_while_it_is_encoded_stays_hidden(serving, stores):
    await save_posts(stores, [PostRecord.model_validate({"post_id": "new", "title": "海滩"})])
    await serving.refresh()
    await set_hidden(stores, "new", hidden=True)
    await serving.refresh()

    await serving._encode_waiting()

    view = serving.view()
    assert "new" not in view.row_of or not view.alive[view.row_of["new"]]


async def test_another_title_gives_another_vector(serving, stores):
    before = serving.view().vectors[serving.view().row_of["p0"]]

    async with running(serving):
        await save_posts(stores, [PostRecord.model_validate({"post_id": "p0", "title": "rock climb 徒步"})])
        await until(lambda: serving.view().columns.titles[serving.view().row_of["p0"]] == "rock climb 徒步")

    after = serving.view().vectors[serving.view().row_of["p0"]]
    assert np.abs(before - after).max() > 0.01


async def test_a_promoted_generation_takes_over_without_a_restart(serving, stores):
    first = serving.view().generation

    async with running(serving):
        second = await run_reindex(stores, requested_by="test")
        await until(lambda: serving.view().generation == second)
        GenerationFolder(stores.settings.generations).promote(first)
        await until(lambda: serving.view().generation == first)


async def test_a_post_hidden_while_a_generation_is_loaded_is_hidden_before_and_after_the_swap(serving, stores):
    second = GenerationFolder(stores.settings.generations).write(
        contents(), origin="start", parent=None, changes_until=datetime.now(UTC)
    )

    promoting = asyncio.create_task(serving.promote(second))
    await set_hidden(stores, "p1", hidden=True)
    await serving.refresh()
    before = serving.view()
    await promoting
    after = serving.view()

    assert after.generation == second
    assert not any(view.alive[view.row_of["p1"]] for view in (before, after) if "p1" in view.row_of)


async def test_a_reindex_does_not_take_the_place_of_what_was_promoted_meanwhile(serving, stores):
    folder = GenerationFolder(stores.settings.generations)
    first = serving.generation.manifest.generation
    await run_reindex(stores, requested_by="test")

    def roll_back(step: str, _done: int, _total: int | None) -> None:
        if step == "encoding":
            folder.promote(first)

    with pytest.raises(Conflict, match=f"{first} was promoted meanwhile"):
        await run_reindex(stores, requested_by="test", progress=roll_back)

    assert folder.current() == first
    assert (await latest_jobs(stores.database, limit=1))[0].state is JobState.FAILED


async def test_who_looks_for_changes_loads_no_generation(serving, stores):
    before, hidden = serving.generation, next(iter(serving.view().columns.post_ids))
    await run_reindex(stores, requested_by="test")
    await set_hidden(stores, hidden, hidden=True)

    await serving.see_changes()

    assert serving.generation is before
    assert not serving.view().alive[serving.view().row_of[hidden]]


@contextmanager
def tokens_damaged(stores):
    """The cache of tokens is no database meanwhile."""
    file = stores.settings.home / TOKENS_FILE
    whole = file.read_bytes()
    for rest in file.parent.glob(f"{file.name}-*"):  # of the write-ahead log
        rest.unlink()
    file.write_bytes(b"no database" * 1000)
    yield
    file.write_bytes(whole)


async def test_a_generation_that_cannot_encode_does_not_serve_and_is_tried_again(serving, stores):
    before = serving.generation.manifest.generation
    hidden = next(iter(serving.view().columns.post_ids))
    after = await run_reindex(stores, requested_by="test")
    await set_hidden(stores, hidden, hidden=True)

    with tokens_damaged(stores), pytest.raises(Unavailable, match="token cache"):
        await serving.refresh()
    assert serving.generation.manifest.generation == before

    await serving.refresh()
    assert serving.generation.manifest.generation == after
    assert not serving.view().alive[serving.view().row_of[hidden]]


async def test_posts_whose_encoding_failed_are_encoded_later_and_it_is_said_once(serving, stores, caplog):
    async with running(serving):
        with tokens_damaged(stores):
            await save_posts(stores, [PostRecord(post_id=f"new-{number}", title="新的") for number in range(3)])
            await until(lambda: "token cache" in caplog.text)
            await asyncio.sleep(3 * POLL_SECONDS)
        assert caplog.text.count("token cache") == 1

        await until(lambda: len(serving.view().columns) == WORLD.posts_count + 3)


async def test_a_damaged_generation_is_refused_and_the_old_one_serves_on(serving, stores):
    folder = GenerationFolder(stores.settings.generations)
    good = serving.view().generation
    bad = folder.write(contents(), origin="start", parent=None, changes_until=datetime.now(UTC))
    folder.promote(bad)
    (stores.settings.generations / bad / "vectors.npy").write_bytes(b"damaged")

    await serving.refresh()

    assert serving.view().generation == good


@pytest.mark.parametrize("pointer", [None, b"", b"20260101T000000-beef\n", b"\xff\xfe\x00"])
async def test_with_a_damaged_generation_or_pointer_a_start_serves_the_newest_whole_one(serving, stores, pointer):
    folder = GenerationFolder(stores.settings.generations)
    good = serving.view().generation
    made = {"origin": "start", "parent": None, "changes_until": datetime.now(UTC)}
    rejected, bad = folder.write(contents(), **made, rejected="worse"), folder.write(contents(), **made)
    folder.promote(bad)
    (stores.settings.generations / bad / "vectors.npy").write_bytes(b"damaged")
    if pointer is not None:
        (stores.settings.generations / POINTER).write_bytes(pointer)

    started = ServingCandidates(stores)
    await started.refresh()
    after_the_start = started.view().generation
    folder.promote(rejected)
    await started.refresh()

    assert after_the_start == good
    assert started.view().generation == rejected, "whoever promotes it by hand wants it"


async def test_hidden_posts_are_encoded_but_are_no_candidates(serving, stores):
    await set_hidden(stores, "p1", hidden=True)

    await run_reindex(stores, requested_by="test")
    await serving.refresh()

    view = serving.view()
    assert "p1" in view.row_of
    assert not view.alive[view.row_of["p1"]]


async def test_a_second_reindex_at_once_is_a_conflict_and_the_job_says_how_it_went(stores):
    await create_job(stores.database, JobKind.REINDEX, requested_by="somebody")

    with pytest.raises(Conflict):
        await run_reindex(stores, requested_by="test")

    assert (await latest_jobs(stores.database))[0].state is JobState.QUEUED


async def test_a_reindex_tells_its_progress_and_leaves_a_finished_job(stores):
    await fill(stores, WORLD)
    told: list[tuple[str, int, int | None]] = []

    generation = await run_reindex(stores, requested_by="test", progress=lambda *standing: told.append(standing))

    job = (await latest_jobs(stores.database))[0]
    assert (job.state, job.generation) == (JobState.DONE, generation)
    assert {"encoding", "indexing", "done"} <= {step for step, _, _ in told}
