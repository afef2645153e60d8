"""Batches of samples -> a trained network: the optimisation loop with its checkpoints and its progress."""

from __future__ import annotations

import ctypes
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import torch

from app.domain import Sample
from app.plan import TrainingPlan
from app.samples.collate import Collator
from app.training.checkpoint import Place, load_checkpoint, save_checkpoint
from models.cascade import Cascade
from models.loss import losses
from models.precision import rounded

LONGEST_GRADIENT = 1.0
GIVE_BACK_STEPS = 50  # between two times at which freed memory goes back to the system
M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of mallopt(3)
KEPT_AT_MOST = 2**31 - 1  # bytes

Batches = Callable[[int], Iterator[Sequence[Sample]]]  # epoch -> its batches, the same at every call


@dataclass(frozen=True)
class StepReport:
    """What one step tells: for the progress bar and the curves."""

    step: int
    steps: int  # expected in all
    samples: int
    posts: int
    seconds: float
    behaviour_loss: float
    serving_loss: float


@dataclass
class Curves:
    """Losses by step, for the report."""

    step: list[int] = field(default_factory=list)
    behaviour_loss: list[float] = field(default_factory=list)
    serving_loss: list[float] = field(default_factory=list)
    samples: int = 0
    posts: int = 0
    seconds: float = 0.0

    def add(self, report: StepReport) -> None:
        """Append one step."""
        self.step.append(report.step)
        self.behaviour_loss.append(report.behaviour_loss)
        self.serving_loss.append(report.serving_loss)
        self.samples += report.samples
        self.posts += report.posts
        self.seconds += report.seconds


class Fit:
    """One training run over a fixed log, resumable at every checkpoint."""

    def __init__(
        self, network: Cascade, collator: Collator, plan: TrainingPlan, *, steps_of_epoch: int, cycle: str
    ) -> None:
        self.network = network
        self.curves = Curves()
        self._collator = collator
        self._plan = plan
        self._cycle = cycle  # no checkpoint of another one is used
        self._steps = max(1, steps_of_epoch * plan.epochs)
        self._optimiser = torch.optim.AdamW(_parameter_groups(network, plan.weight_decay), lr=plan.learning_rate)

    def run(
        self, batches: Batches, checkpoint: Path, *, learning_rate: float, tell: Callable[[StepReport], None]
    ) -> None:
        """Learn from all epochs, from the checkpoint on if there is one; the network ends in evaluation mode."""
        torch.manual_seed(self._plan.seed)
        _keep_memory()
        saved = load_checkpoint(checkpoint, cycle=self._cycle, network=self.network, optimiser=self._optimiser)
        place = saved or Place(0, 0, 0)
        step = place.step
        for epoch in range(place.epoch, self._plan.epochs):
            done = place.step_of_epoch if epoch == place.epoch else 0
            for number, samples in enumerate(islice(batches(epoch), done, None), start=done + 1):
                report = self._step(samples, step, learning_rate)
                step += 1
                self.curves.add(report)
                tell(report)
                if step % self._plan.checkpoint_steps == 0:
                    self._save(checkpoint, Place(epoch, step, number))
                if step % GIVE_BACK_STEPS == 0:
                    _give_back_memory()
        self.network.eval()

    def _save(self, checkpoint: Path, place: Place) -> None:
        save_checkpoint(checkpoint, place, cycle=self._cycle, network=self.network, optimiser=self._optimiser)

    def _step(self, samples: Sequence[Sample], step: int, learning_rate: float) -> StepReport:
        """Forward, backward, update."""
        began = time.perf_counter()
        self.network.train()
        batch = self._collator.batch(samples)
        with rounded():
            predictions = self.network(batch)
        found = losses(predictions, batch)
        for group in self._optimiser.param_groups:
            group["lr"] = learning_rate * _schedule(step, self._plan.warmup_steps, self._steps)
        self._optimiser.zero_grad(set_to_none=True)
        found.total(self._plan.serving_weight).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), LONGEST_GRADIENT)
        self._optimiser.step()
        return StepReport(
            step=step + 1,
            steps=self._steps,
            samples=len(batch),
            posts=len(batch.posts),
            seconds=time.perf_counter() - began,
            behaviour_loss=found.behaviour.item(),
            serving_loss=found.serving.item(),
        )


def _keep_memory() -> None:
    """Let freed memory wait for the next step: asked back from the system each time, all of it is cleared (glibc)."""
    option = getattr(ctypes.CDLL(None), "mallopt", None)
    if option is not None:
        option(M_MMAP_THRESHOLD, KEPT_AT_MOST)
        option(M_TRIM_THRESHOLD, KEPT_AT_MOST)


def _give_back_memory() -> None:
    """Return freed memory to the system: batches of ever new shapes leave the allocator full of holes (glibc)."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def _schedule(step: int, warmup: int, steps: int) -> float:
    """Share of the full learning rate: a linear rise, then half a cosine down to a tenth."""
    if step < warmup:
        return (step + 1) / warmup
    done = min(1.0, (step - warmup) / max(1, steps - warmup))
    return 0.1 + 0.45 * (1 + math.cos(math.pi * done))


def _parameter_groups(network: Cascade, weight_decay: float) -> list[dict[str, object]]:
    """Matrices decay; biases, gains and scalars do not."""
    matrices = [one for one in network.parameters() if one.dim() > 1]
    others = [one for one in network.parameters() if one.dim() <= 1]
    return [{"params": matrices, "weight_decay": weight_decay}, {"params": others, "weight_decay": 0.0}]
