"""The sidecar: consumes the exposure log and publishes generations, for ever; or once, for `tuwen train`."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from math import inf

from app.candidates.encode import use_threads
from app.candidates.generation import GenerationFolder
from app.candidates.reindex import Artefact, Progress, run_reindex
from app.errors import BadInput, BadSettings, Conflict, TuwenError
from app.intake.retention import delete_old
from app.plan import load_plan
from app.settings import Settings
from app.storage.catalogue import latest_change
from app.storage.job_run import job_run
from app.storage.jobs import JobKind
from app.storage.peers import refresh_peers
from app.storage.postgres import SyncEngine, sync_engine
from app.storage.stores import Stores, open_stores
from app.tracing import span, tracing
from app.training.cycle import end_cycle, new_exposures, run_cycle
from app.training.fit import StepReport

log = logging.getLogger(__name__)
LOOK_SECONDS = 5.0  # how often the trainer looks whether there is something to do
WAIT_FOR_REINDEX_SECONDS = 2.0
TIDY_SECONDS = 3600.0  # between two looks for what is older than wanted

Tell = Callable[[StepReport], None]


@dataclass(frozen=True)
class Trained:
    """What a training cycle made."""

    generation: str
    rejected: str | None  # why it does not serve; None when it does


async def train_once(
    stores: Stores, engine: SyncEngine, *, requested_by: str, tell: Tell, progress: Progress
) -> Trained:
    """One training cycle, published unless the gate rejects it. Raises BadInput without a log, Conflict while one runs.

    Where nothing served and the trained network is rejected, the pretrained start serves.
    """
    plan, sizes = load_plan(stores.settings.plan)
    use_threads(stores.settings.threads)
    async with job_run(stores.database, JobKind.TRAIN, job_id=None, requested_by=requested_by) as job:

        def tell_both(report: StepReport) -> None:
            job.tell("training", report.step, report.steps)
            tell(report)

        artefact = await run_cycle(stores, engine, plan, sizes, tell=tell_both)
        job.tell("publishing", 0, None)
        generation = await _published(stores, artefact, requested_by=requested_by, progress=progress)
        job.generation = generation
        end_cycle(stores)
        if GenerationFolder(stores.settings.generations).current() is None:
            await _published(stores, None, requested_by=requested_by, progress=progress)
        await refresh_peers(stores.database, None)
    return Trained(generation, artefact.rejected)


async def _published(stores: Stores, artefact: Artefact | None, *, requested_by: str, progress: Progress) -> str:
    """Reindex with the artefact, as soon as nobody else does."""
    while True:
        try:
            return await run_reindex(stores, artefact, requested_by=requested_by, progress=progress)
        except Conflict:  # somebody's reindex is under way: it ends, then ours begins
            await asyncio.sleep(WAIT_FOR_REINDEX_SECONDS)


@dataclass
class Duties:
    """What the trainer has to do next; it does one thing at a time."""

    stores: Stores
    engine: SyncEngine
    trained_at: float  # monotonic seconds
    reindexed_at: float
    tidied_at: float
    failed_at: float = -inf  # the last cycle that ended in an error

    @property
    def settings(self) -> Settings:
        """The deployment's intervals and thresholds."""
        return self.stores.settings

    async def look(self) -> None:
        """Do what is due: delete what is too old, the first index, a training cycle, or a periodic reindex."""
        if time.monotonic() - self.tidied_at > TIDY_SECONDS:
            self.tidied_at = time.monotonic()
            log.info("deleted what is older than wanted: %s", await delete_old(self.stores))
        change = await latest_change(self.stores.database)
        current = GenerationFolder(self.settings.generations).current()
        if current is None:
            if change is not None:
                await self._reindex("the first index")
            return
        plan, sizes = load_plan(self.settings.plan)
        new = await asyncio.to_thread(new_exposures, self.stores, self.engine, plan, sizes=sizes)
        pause = self.settings.trainer_interval_minutes * 60
        pause_over = time.monotonic() - self.trained_at > pause
        if time.monotonic() - self.failed_at < pause:
            new = 0  # the same log would fail the same way
        if new >= self.settings.trainer_minimum_exposures or (new and pause_over):
            await self._train(new)
        elif time.monotonic() - self.reindexed_at > self.settings.reindex_interval_minutes * 60:
            await self._reindex("the period is over")

    async def _train(self, new: int) -> None:
        log.info("training on %d new exposures", new)
        try:
            with span("train", new_exposures=new):
                trained = await train_once(
                    self.stores, self.engine, requested_by="trainer", tell=lambda _: None, progress=lambda *_: None
                )
        except (BadInput, BadSettings):
            self.failed_at = time.monotonic()
            raise
        self.trained_at = time.monotonic()
        if trained.rejected is not None:
            log.warning("generation %s is rejected, the old one serves on: %s", trained.generation, trained.rejected)
            return
        self.reindexed_at = self.trained_at
        log.info("generation %s, trained on the log, serves", trained.generation)

    async def _reindex(self, reason: str) -> None:
        log.info("reindexing: %s", reason)
        with span("reindex"):
            await run_reindex(self.stores, requested_by="trainer")
            await refresh_peers(self.stores.database, None)
        self.reindexed_at = time.monotonic()


async def run_trainer(settings: Settings) -> None:
    """Watch the log for ever; an error is told and the next look tries again."""
    load_plan(settings.plan)  # a plan that cannot work ends the process at once
    use_threads(settings.threads)
    with tracing(settings, process="trainer"):
        await _watch(settings)


async def _watch(settings: Settings) -> None:
    async with open_stores(settings.for_batch_work()) as stores:
        engine = sync_engine(stores.addresses.database_url)
        try:
            now = time.monotonic()
            duties = Duties(stores, engine, trained_at=now, reindexed_at=now, tidied_at=now - 2 * TIDY_SECONDS)
            while True:
                try:
                    await duties.look()
                except TuwenError as error:
                    log.error("%s", error.message)
                except Exception:
                    log.exception("an unexpected error; the trainer goes on")
                    duties.failed_at = time.monotonic()
                await asyncio.sleep(LOOK_SECONDS)
        finally:
            engine.dispose()
