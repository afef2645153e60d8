"""A log in PostgreSQL -> posts a second of joint training as `tuwen train` does it, beside the bare network's rate."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from itertools import chain, cycle, islice

from app.candidates.encode import use_threads
from app.candidates.generation import GenerationFolder
from app.plan import TrainingPlan, load_plan
from app.samples.stream import training_chunks
from app.samples.tokens import Content
from app.storage.catalogue import post_counts, stream_catalogue
from app.storage.log import current_watermark
from app.storage.postgres import SyncEngine, sync_engine
from app.storage.stores import Stores, open_stores
from app.training.cycle import Catalogue, end_cycle, run_cycle
from app.training.fit import StepReport
from models.batch import Batch
from models.cascade import Cascade
from models.loss import losses
from models.precision import rounded
from models.sizes import NetworkSizes
from scripts.bench_figures import Figure, Floor, at_least
from scripts.bench_processes import say
from scripts.bench_world import BenchWorld, Sizes

POSTS_PER_SECOND = 800
SHARE_OF_BARE_PERCENT = 60
STEPS_TO_WARM_UP = 3
STEPS_PER_BARE_STEP = 4


class BareNetwork:
    """The network on batches that are ready: no stream, no collation, no optimiser."""

    def __init__(self, network: Cascade, batches: Sequence[Batch], serving_weight: float) -> None:
        self._network = network.train()
        self._batches = cycle(batches)
        self._serving_weight = serving_weight
        self._posts = 0
        self._seconds = 0.0
        self._pass(next(self._batches))  # warms up

    @property
    def rate(self) -> float:
        """Posts a second over all steps."""
        return self._posts / self._seconds

    def step(self) -> None:
        """Forward and backward over the next batch."""
        batch = next(self._batches)
        began = time.perf_counter()
        self._pass(batch)
        self._seconds += time.perf_counter() - began
        self._posts += len(batch.posts)

    def _pass(self, batch: Batch) -> None:
        self._network.zero_grad(set_to_none=True)
        with rounded():
            predictions = self._network(batch)
        losses(predictions, batch).total(self._serving_weight).backward()  # type: ignore[no-untyped-call]


class Pace:
    """Times the steps of a training run with all that happens between them; every few steps the bare network has one.

    So both see the same machine, whatever else runs on it. The clock of the training stands still meanwhile.
    """

    def __init__(self, bare: BareNetwork) -> None:
        self.posts = self.samples = 0
        self.seconds = 0.0
        self._bare = bare
        self._since: float | None = None

    def tell(self, report: StepReport) -> None:
        """A step has ended; those of the warm-up do not count."""
        now = time.perf_counter()
        if self._since is not None:
            self.seconds += now - self._since
            self.posts += report.posts
            self.samples += report.samples
        if report.step % STEPS_PER_BARE_STEP == 1:
            self._bare.step()
        self._since = time.perf_counter() if report.step >= min(STEPS_TO_WARM_UP, report.steps - 1) else None


def measure_training(made: BenchWorld, sizes: Sizes) -> list[Figure]:
    """A training cycle over the log of the home."""
    return asyncio.run(_measure(made, sizes))


async def _measure(made: BenchWorld, sizes: Sizes) -> list[Figure]:
    settings = made.settings.for_batch_work()
    use_threads(settings.threads)
    plan, chosen = load_plan(settings.plan)
    async with open_stores(settings) as stores:
        folder = GenerationFolder(settings.generations)
        network = folder.load(folder.ids()[0]).network
        engine = sync_engine(stores.addresses.database_url)
        batches = await ready_batches(stores, engine, plan, network.sizes, count=sizes.ready_batches)
        bare = BareNetwork(network, batches, plan.serving_weight)
        pace = Pace(bare)
        say(f"training on {made.exposures:,} exposures")
        await run_cycle(stores, engine, plan, chosen, tell=pace.tell)
        end_cycle(stores)
        engine.dispose()
    return _figures(pace, bare, batches)


def _figures(pace: Pace, bare: BareNetwork, batches: Sequence[Batch]) -> list[Figure]:
    rate = pace.posts / pace.seconds if pace.seconds else None
    floor = Floor("forward and backward pass alone, on ready batches", bare.rate)
    about = f"{pace.samples / pace.seconds:,.0f} samples/s, {len(batches[0].posts)} posts a batch" if rate else ""
    share = 100 * rate / bare.rate if rate else None
    return [
        Figure("trained posts, from PostgreSQL to step", rate, "/s", (floor,), at_least(POSTS_PER_SECOND), about),
        Figure("  share of the bare network's rate", share, "%", (), at_least(SHARE_OF_BARE_PERCENT)),
    ]


async def ready_batches(
    stores: Stores, engine: SyncEngine, plan: TrainingPlan, sizes: NetworkSizes, *, count: int
) -> list[Batch]:
    """The first batches of an epoch, collated."""
    posts = [post async for page in stream_catalogue(stores.database, with_deleted=True) for post in page]
    rows = {post.post_id: row for row, post in enumerate(posts)}
    catalogue = Catalogue(rows, [Content.of(post) for post in posts], await post_counts(stores.database))
    collator = catalogue.collator(catalogue.table(sizes, stores.settings.home), plan)
    chunks = training_chunks(
        engine,
        plan.history,
        seed=plan.seed,
        until=current_watermark(engine),
        held_out_since=None,
        chunk_size=plan.chunk_size,
    )
    wanted = count * plan.batch_samples
    samples = list(islice(chain.from_iterable(chunk.samples for chunk in chunks), wanted))
    return [collator.batch(samples[at : at + plan.batch_samples]) for at in range(0, len(samples), plan.batch_samples)]
