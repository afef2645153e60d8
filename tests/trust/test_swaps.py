"""Row 8: the generation is swapped under load, back and forth; every answer is of one generation, none is kept on."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import psycopg
import pytest

from app.candidates.columns import PostColumns
from app.candidates.generation import GenerationFolder
from app.domain import Post
from scripts.bench_processes import peak_gib
from tests.candidates.worlds import contents, with_vectors
from tests.trust.children import database_url
from tests.trust.figures import Row
from tests.trust.load import percentile_ms
from tests.trust.world import Broken

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
PEAK_TIMES = 1.2  # of the peak with one generation: a second one is hardly seen, a hundred that were kept took 1.65
P99_TIMES = 3  # loading takes time from those who answer, but must not hold them up


def written(folder: GenerationFolder, name: str, posts: int) -> str:
    """A generation whose posts all begin with this name; it takes no changes from the catalogue."""
    ids = [f"{name}-{number}" for number in range(posts)]
    made = replace(contents(posts), columns=PostColumns.of([Post(one, one) for one in ids]), popular=ids[:50])
    ahead = datetime.now(UTC) + timedelta(days=1)
    ordered = with_vectors(made, made.vectors, made.quality)
    return folder.write(ordered, origin="start", parent=None, changes_until=ahead)


def let_an_hour_pass(world: Broken) -> None:
    """Let no post have changed just now: it would be looked at in any generation."""
    with psycopg.connect(database_url(world.postgres.port)) as connection:
        connection.execute("UPDATE posts SET changed_at = changed_at - interval '1 hour'")


def forget_peak(world: Broken) -> None:
    """Let the kernel measure the peak of the API's memory anew."""
    assert world.api.process is not None
    Path(f"/proc/{world.api.process.pid}/clear_refs").write_text("5")


def peak_of(world: Broken) -> float:
    """The most memory that the API has had since, in GiB."""
    assert world.api.process is not None
    peak = peak_gib(world.api.process.pid)
    assert peak is not None
    return peak


@pytest.mark.trust(8)
async def test_no_answer_mixes_two_generations_and_none_is_kept_on(world: Broken, row: Row, at_full):
    swaps, per_second, posts = at_full(4, 100), at_full(8, 50), at_full(60, 20_000)
    folder = GenerationFolder(world.api.settings.generations)
    before = str(folder.current())
    let_an_hour_pass(world)
    names = {written(folder, name, posts): name for name in ("first", "second")}
    client, ops, done = world.client(), world.client("ops"), asyncio.Event()
    await ops.ask(ops.post(f"/generations/{list(names)[1]}/promote", {}))
    forget_peak(world)
    quiet = await client.for_seconds(at_full(1, 10), per_second, lambda n: client.get(f"/recommend?user_id=x{n}"))
    quiet_peak = peak_of(world)
    forget_peak(world)
    loading = asyncio.create_task(
        client.open_loop(per_second, lambda n: client.get(f"/recommend?user_id=y{n}"), until=done.is_set)
    )
    refused = 0
    for swap in range(swaps):
        answer = await ops.ask(ops.post(f"/generations/{list(names)[swap % 2]}/promote", {}))
        refused += not answer.is_good
        await asyncio.sleep(3 / per_second)  # for some answers of this one
    done.set()
    answers = await loading
    peak = peak_of(world)
    await ops.ask(ops.post(f"/generations/{before}/promote", {}))
    pages = [one.json() for one in answers.of(200)]
    ours = [page for page in pages if page["generation"] in names]
    mixed = sum(not item["post_id"].startswith(names[page["generation"]]) for page in ours for item in page["items"])

    row.done = f"{swaps} swaps between two generations of {posts} posts, none in both, at {per_second} requests/s"
    row.none(failed=len(answers.all) - len(pages), mixed=mixed, swaps_refused=refused)
    row.saw("answers of either", len(ours))
    slower = percentile_ms(answers.all, 0.99) / percentile_ms(quiet.all, 0.99)
    if at_full(False, True):  # of a handful of answers on a busy machine it says nothing
        row.at_most(P99_TIMES, "p99 beside the quiet one", slower, "times")
    row.at_most(PEAK_TIMES, "peak memory beside the quiet one", peak / quiet_peak, "times")
    row.saw("peak memory", 1024 * peak, "MiB")
    assert {page["generation"] for page in ours} == set(names)
