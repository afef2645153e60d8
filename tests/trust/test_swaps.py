"""Row 8: the generation is swapped under load, back and forth; every answer is of one generation."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from app.candidates.columns import PostColumns
from app.candidates.generation import GenerationFolder
from app.domain import Post
from tests.candidates.worlds import contents
from tests.trust.figures import Row
from tests.trust.load import percentile_ms
from tests.trust.world import Broken

pytestmark = [pytest.mark.anyio, pytest.mark.slow]
POSTS = 60


def written(folder: GenerationFolder, name: str) -> str:
    """A generation whose posts all begin with this name; it takes no changes from the catalogue."""
    ids = [f"{name}-{number}" for number in range(POSTS)]
    made = replace(contents(POSTS), columns=PostColumns.of([Post(one, one) for one in ids]), popular=ids)
    ahead = datetime.now(UTC) + timedelta(days=1)
    return folder.write(made, origin="start", parent=None, changes_until=ahead)


@pytest.mark.trust(8)
async def test_no_answer_mixes_two_generations(world: Broken, row: Row, at_full):
    swaps, per_second = at_full(4, 100), at_full(8, 50)
    folder = GenerationFolder(world.api.settings.generations)
    before = str(folder.current())
    names = {written(folder, name): name for name in ("first", "second")}
    client, ops, done = world.client(), world.client("ops"), asyncio.Event()
    quiet = await client.for_seconds(at_full(1, 10), per_second, lambda n: client.get(f"/recommend?user_id=x{n}"))
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
    await ops.ask(ops.post(f"/generations/{before}/promote", {}))
    pages = [one.json() for one in answers.of(200)]
    ours = [page for page in pages if page["generation"] in names]
    mixed = sum(not item["post_id"].startswith(names[page["generation"]]) for page in ours for item in page["items"])

    row.done = f"{swaps} swaps between two generations without a common post, at {per_second} requests/s"
    row.none(failed=len(answers.all) - len(pages), mixed=mixed, swaps_refused=refused)
    row.saw("answers of either", len(ours))
    row.saw("p99 beside the quiet one", percentile_ms(answers.all, 0.99) / percentile_ms(quiet.all, 0.99), "times")
    assert {page["generation"] for page in ours} == set(names)
