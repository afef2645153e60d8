"""The exposure log -> a trained network: one training cycle, from the last one's place in the log on (step 314, T11).

A cycle fixes at its start what it learns from (a watermark of the log, the held-out slice, the network it continues)
and writes that down, so that a killed trainer does the rest of the same cycle.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, field
from datetime import datetime
from itertools import chain, islice
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from app.candidates.encode import start_network, start_sizes, token_source
from app.candidates.generation import GenerationFolder, verify
from app.candidates.reindex import Artefact
from app.domain import Sample
from app.errors import BadArtefact, BadInput, BadSettings, UnknownId
from app.plan import TrainingPlan
from app.samples.collate import Collator
from app.samples.stream import evaluation_chunks, training_chunks
from app.samples.tokens import Content, TokenTable
from app.storage.catalogue import PostCounts, post_counts, posts_shown_before, stream_catalogue
from app.storage.log import Watermark, count_exposures, current_watermark, split_moment
from app.storage.postgres import SyncEngine
from app.storage.stores import Stores
from app.training.cycle_notes import CYCLE, Cycle, read_notes, write_notes
from app.training.evaluate import Yardsticks, evaluate
from app.training.fit import Curves, Fit, StepReport
from app.training.judge import judge
from app.training.report import CycleReport, draw_curves
from models.cascade import Cascade
from models.sizes import NetworkSizes

CHECKPOINT = "checkpoint.safetensors"
Tell = Callable[[StepReport], None]


async def run_cycle(
    stores: Stores, engine: SyncEngine, plan: TrainingPlan, sizes: dict[str, object], *, tell: Tell
) -> Artefact:
    """Train on what is new in the log, evaluate on its latest slice, ask the gate.

    Raises BadInput when there is nothing to learn, BadSettings when the plan makes it diverge.
    """
    began = time.monotonic()
    folder = stores.settings.home / "training"
    folder.mkdir(parents=True, exist_ok=True)
    wanted = start_sizes(**sizes)
    cycle = _resumed(stores, folder, plan=plan, sizes=wanted) or _begun(stores, engine, folder, plan=plan, sizes=wanted)
    catalogue = await _catalogue(stores)
    start = start_network(wanted, catalogue.contents, home=stores.settings.home, seed=plan.seed)
    table = catalogue.table(wanted, stores.settings.home)
    network = _first_network(stores, cycle, start)
    fit = _fit(network, engine, cycle, plan=plan, collator=catalogue.collator(table, plan))
    await _learn(fit, stores, engine, cycle, plan=plan, tell=tell)
    held_out = await asyncio.to_thread(_held_out, engine, cycle, plan)
    shown = await posts_shown_before(stores.database, cycle.held_out_since) if cycle.held_out_since else set()
    is_new = np.asarray([post_id not in shown for post_id in catalogue.rows], bool)
    yardsticks = Yardsticks(catalogue.popularity, is_new, start)
    figures = await asyncio.to_thread(
        evaluate, network, held_out, table=table, rows=catalogue.rows, yardsticks=yardsticks
    )
    verdict = await judge(
        stores, network, held_out, start=start, rows=catalogue.rows, table_of=catalogue.table_of(stores), gate=plan.gate
    )
    report = CycleReport(
        origin="trained",
        continued_from=cycle.base,
        log=_log_figures(cycle, fit.curves),
        network=asdict(wanted),
        plan=plan.as_json(),
        curves=fit.curves,
        evaluation=figures,
        gate=verdict.as_json() if verdict else None,
        seconds=time.monotonic() - began,
    )
    rejected = verdict.rejected if verdict else None
    return Artefact(network, "trained", cycle.base, report.plan, report.as_json(), draw_curves(report), rejected)


async def _learn(fit: Fit, stores: Stores, engine: SyncEngine, cycle: Cycle, *, plan: TrainingPlan, tell: Tell) -> None:
    """Run the fit. Raises BadSettings when it diverges."""
    rate = plan.continued_learning_rate if cycle.base else plan.learning_rate
    batches, checkpoint = _batches(engine, cycle, plan), stores.settings.home / "training" / CHECKPOINT
    await asyncio.to_thread(fit.run, batches, checkpoint, learning_rate=rate, tell=tell)
    _require_finite(stores, fit.network)


def _require_finite(stores: Stores, network: Cascade) -> None:
    """Raises BadSettings, and lets the next cycle begin anew, when the training has diverged."""
    if not all(bool(one.isfinite().all()) for one in network.parameters()):
        end_cycle(stores)
        raise BadSettings("the training diverged, its weights are no numbers any more: lower learning_rate in the plan")


def end_cycle(stores: Stores) -> None:
    """Forget the cycle's notes, once its network serves or was refused."""
    for name in (CYCLE, CHECKPOINT):
        (stores.settings.home / "training" / name).unlink(missing_ok=True)


@dataclass(frozen=True)
class Catalogue:
    """All posts that the log may name, with their counts."""

    rows: dict[str, int]  # post id -> row
    contents: list[Content]
    counts: PostCounts
    _tables: dict[tuple[str, str], TokenTable] = field(default_factory=dict)  # by backbones; they take gigabytes

    def table(self, sizes: NetworkSizes, home: Path) -> TokenTable:
        """Their backbone tokens, read once."""
        backbones = (sizes.picture_backbone, sizes.title_backbone)
        if backbones not in self._tables:
            widths = (sizes.picture_width, sizes.title_width)
            self._tables[backbones] = TokenTable(token_source(sizes, home), self.contents, widths=widths)
        return self._tables[backbones]

    def table_of(self, stores: Stores) -> Callable[[NetworkSizes], TokenTable]:
        """The same for whichever sizes."""
        return lambda sizes: self.table(sizes, stores.settings.home)

    @property
    def popularity(self) -> NDArray[np.float32]:
        """How many accounts acted on each post, (posts,)."""
        return np.asarray([self.counts.acted.get(post_id, 0) for post_id in self.rows], np.float32)

    def collator(self, table: TokenTable, plan: TrainingPlan) -> Collator:
        """Makes batches of this catalogue."""
        items = plan.batch_samples + plan.batch_samples // plan.chunk_size * 2 * plan.history.count
        return Collator(table, self.rows, self.log_presence(items))

    def log_presence(self, items: int) -> NDArray[np.float32]:
        """Log of the chance that a post is among `items` showings drawn from the log, (posts,)."""
        shown = np.asarray([self.counts.shown.get(post_id, 0) for post_id in self.rows], np.float64) + 1.0
        share = shown / shown.sum()
        presence: NDArray[np.float32] = np.log(-np.expm1(-items * share)).astype(np.float32)
        return presence


async def _catalogue(stores: Stores) -> Catalogue:
    posts = [post async for page in stream_catalogue(stores.database, with_deleted=True) for post in page]
    rows = {post.post_id: row for row, post in enumerate(posts)}
    return Catalogue(rows, [Content.of(post) for post in posts], await post_counts(stores.database))


def _begun(stores: Stores, engine: SyncEngine, folder: Path, *, plan: TrainingPlan, sizes: NetworkSizes) -> Cycle:
    """A new cycle, written down."""
    generations = GenerationFolder(stores.settings.generations)
    best = generations.load_best()
    base, learnt = _continued(generations, best.manifest.generation if best else None, sizes)
    watermark = current_watermark(engine)
    since = Watermark(datetime.fromisoformat(learnt["arrived_until"])) if learnt else None
    if not count_exposures(engine, since=None, until=watermark):
        raise BadInput("there is no exposure log yet: run `tuwen import --exposures FILE` or POST /exposures first")
    held_out = learnt["held_out_since"] if learnt else None
    cycle = Cycle(
        base=base,
        arrived_since=since.arrived_until if since else None,
        shown_since=datetime.fromisoformat(held_out) if held_out else None,
        arrived_until=watermark.arrived_until,
        held_out_since=_split(engine, plan, held_out),
        plan=plan.as_json(),
        network=asdict(sizes),
    )
    (folder / CHECKPOINT).unlink(missing_ok=True)
    write_notes(cycle, folder)
    return cycle


def _split(engine: SyncEngine, plan: TrainingPlan, held_out: str | None) -> datetime | None:
    """Where the held-out slice begins: never before the last one, whose beginning has been learnt from since."""
    split = split_moment(engine, plan.held_out_share)
    return max(split, datetime.fromisoformat(held_out)) if split and held_out else split


def _resumed(stores: Stores, folder: Path, *, plan: TrainingPlan, sizes: NetworkSizes) -> Cycle | None:
    """The cycle that a killed trainer had begun, if it can go on: its plan is still the plan, its base still whole, and
    what serves has still read the log as far as its base had, which a roll-back changes and a reindex does not.
    """
    cycle = read_notes(folder)
    choices = json.loads(json.dumps({"plan": plan.as_json(), "network": asdict(sizes)}))
    if cycle is None or {"plan": cycle.plan, "network": cycle.network} != choices or not _is_whole(stores, cycle.base):
        return None
    _, learnt = learnt_until(stores, sizes)
    since = datetime.fromisoformat(learnt["arrived_until"]) if learnt else None
    return cycle if cycle.arrived_since == since else None


def _is_whole(stores: Stores, base: str | None) -> bool:
    """Whether a cycle can continue this generation; None is the pretrained start."""
    if base is None:
        return True
    try:
        verify(GenerationFolder(stores.settings.generations).path(base))
    except (BadArtefact, UnknownId):
        return False
    return True


def learnt_until(stores: Stores, sizes: NetworkSizes) -> tuple[str | None, dict[str, Any] | None]:
    """The serving generation if it was trained with these sizes, and how far its network had read the log."""
    folder = GenerationFolder(stores.settings.generations)
    try:
        return _continued(folder, folder.current(), sizes)
    except BadArtefact:  # the next cycle begins from what is whole
        return None, None


def _continued(
    folder: GenerationFolder, generation: str | None, sizes: NetworkSizes
) -> tuple[str | None, dict[str, Any] | None]:
    """The generation if its network can be continued with these sizes, and how far that had read the log."""
    report = folder.report(generation) if generation else {}
    same = report.get("network") == json.loads(json.dumps(asdict(sizes)))
    return (generation, report["log"]) if same and "log" in report else (None, None)


def new_exposures(stores: Stores, engine: SyncEngine, plan: TrainingPlan, *, sizes: dict[str, object]) -> int:
    """Exposures in the log that neither the serving network nor one that was rejected since has learnt from."""
    wanted = start_sizes(**sizes)
    _, learnt = learnt_until(stores, wanted)
    read = [learnt["arrived_until"]] if learnt else []
    read += _rejected_until(GenerationFolder(stores.settings.generations), plan, wanted)
    since = Watermark(max(map(datetime.fromisoformat, read))) if read else None
    return count_exposures(engine, since=since, until=current_watermark(engine))


def _rejected_until(folder: GenerationFolder, plan: TrainingPlan, sizes: NetworkSizes) -> list[str]:
    """How far rejected trainings of this very plan had read the log: the same data again would end the same way."""
    choices = json.loads(json.dumps({"plan": plan.as_json(), "network": asdict(sizes)}))
    read = []
    for generation in folder.rejected():
        with contextlib.suppress(BadArtefact, UnknownId):  # damaged, or just pruned
            report = folder.report(generation)
            if {name: report.get(name) for name in choices} == choices:
                read.append(report["log"]["arrived_until"])
    return read


def _first_network(stores: Stores, cycle: Cycle, start: Cascade) -> Cascade:
    """The network that the cycle continues, or a copy of the start."""
    if cycle.base is not None:
        return GenerationFolder(stores.settings.generations).load(cycle.base).network
    network = Cascade(start.sizes)
    network.load_state_dict(start.state_dict())
    return network


def _fit(network: Cascade, engine: SyncEngine, cycle: Cycle, *, plan: TrainingPlan, collator: Collator) -> Fit:
    """The run, with the steps it is expected to take."""
    samples: float = count_exposures(engine, since=None, until=cycle.watermark)
    if cycle.arrived_since is not None:  # what is new, what was held out the last time, and the replayed
        new = count_exposures(engine, since=Watermark(cycle.arrived_since), until=cycle.watermark)
        samples = min(samples, new + samples * (plan.held_out_share + plan.replay_share))
    steps = samples * (1 - plan.held_out_share) / plan.batch_samples
    return Fit(network, collator, plan, steps_of_epoch=max(1, round(steps)), cycle=cycle.sha256)


def _batches(engine: SyncEngine, cycle: Cycle, plan: TrainingPlan) -> Callable[[int], Iterator[list[Sample]]]:
    """Epoch -> its batches, shuffled by the seed and the epoch, the same at every call."""

    def of_epoch(epoch: int) -> Iterator[list[Sample]]:
        chunks = training_chunks(
            engine,
            plan.history,
            seed=plan.seed * 1000 + epoch,
            until=cycle.watermark,
            held_out_since=cycle.held_out_since,
            arrived_since=cycle.arrived_since,
            shown_since=cycle.shown_since,
            replay_share=plan.replay_share,
            chunk_size=plan.chunk_size,
        )
        batch: list[Sample] = []
        for chunk in chunks:
            batch += chunk.samples
            if len(batch) >= plan.batch_samples:
                yield batch
                batch = []
        if batch:
            yield batch

    return of_epoch


def _held_out(engine: SyncEngine, cycle: Cycle, plan: TrainingPlan) -> list[Sample]:
    """Samples of the latest slice, at most as many as the plan evaluates."""
    if cycle.held_out_since is None:
        return []
    chunks = evaluation_chunks(
        engine,
        plan.history,
        seed=plan.seed,
        until=cycle.watermark,
        held_out_since=cycle.held_out_since,
        chunk_size=plan.chunk_size,
    )
    return list(islice(chain.from_iterable(chunk.samples for chunk in chunks), plan.evaluated_samples))


def _log_figures(cycle: Cycle, curves: Curves) -> dict[str, Any]:
    """What the network has learnt from; the next cycle begins there."""
    held_out = cycle.held_out_since.isoformat() if cycle.held_out_since else None
    return {
        "arrived_until": cycle.arrived_until.isoformat(),
        "held_out_since": held_out,
        "samples": curves.samples,
        "posts": curves.posts,
        "seconds": curves.seconds,
    }
