"""How a network is trained; read from a TOML file and saved in every generation's report."""

from __future__ import annotations

import tomllib
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from app.domain import Sequence
from app.errors import BadSettings
from app.samples.history import HistoryLimits
from models.artefact import sizes_from


@dataclass(frozen=True)
class Gate:
    """How much worse than the serving network a trained one may be on the held-out slice and still serve."""

    enabled: bool = True
    standard_errors: float = 2.5  # beyond what is allowed, before a difference counts
    least_events: int = 30  # targets, behaviours or accounts, below which a figure is not judged
    warm_loss_share: float = 0.0  # of the serving one's NDCG@10
    cold_loss_share: float = 0.1  # of its recall of new posts
    log_loss_share: float = 0.0  # more than its log-loss
    calibration_ratio: float = 1.25  # predicted over observed rate, either way
    coverage_loss_share: float = 0.5  # of the posts that are among anybody's first ten


@dataclass(frozen=True)
class TrainingPlan:
    """Every choice of a training cycle that is not a size of the network."""

    seed: int = 0
    epochs: int = 5  # passes over the new samples
    batch_samples: int = 640  # at least so many in a batch
    chunk_size: int = 16  # consecutive samples of one account, which share most of their history
    learning_rate: float = 2e-3
    continued_learning_rate: float = 3e-4  # when the cycle continues from a trained network
    weight_decay: float = 0.01
    warmup_steps: int = 30
    serving_weight: float = 0.3  # of the losses of match and ranking beside the behaviour loss
    held_out_share: float = 0.1  # latest exposures kept for evaluation
    evaluated_samples: int = 4000  # at most
    replay_share: float = 0.2  # older samples mixed into a continued cycle
    checkpoint_steps: int = 50  # between two checkpoints
    history: HistoryLimits = field(default_factory=HistoryLimits)
    gate: Gate = field(default_factory=Gate)

    def as_json(self) -> dict[str, Any]:
        """For the generation's folder."""
        return asdict(self)


def load_plan(file: Path | None) -> tuple[TrainingPlan, dict[str, object]]:
    """The plan and the chosen network sizes of a TOML file; without one, the defaults. Raises BadSettings."""
    if file is None:
        return TrainingPlan(), {}
    try:
        values = tomllib.loads(file.read_text())
    except FileNotFoundError:
        raise BadSettings(f"the training plan {file} does not exist") from None
    except tomllib.TOMLDecodeError as error:
        raise BadSettings(f"the training plan {file} is no TOML: {error}") from None
    unknown = set(values) - {"training", "gate", "history", "network"}
    if unknown:
        raise BadSettings(
            f"{file}: unknown sections {sorted(unknown)}; known are [training], [gate], [history] and [network]"
        )
    try:
        history = _history(values.get("history", {}))
        gate = Gate(**_known(values.get("gate", {}), Gate))
        plan = replace(TrainingPlan(history=history, gate=gate), **_known(values.get("training", {}), TrainingPlan))
        return plan, _sizes(values.get("network", {}))
    except (TypeError, ValueError) as error:
        raise BadSettings(f"{file}: {error}") from None


def _history(values: dict[str, Any]) -> HistoryLimits:
    """[history]: sequences, count, window_seconds."""
    known = _known(values, HistoryLimits)
    if "sequences" in known:
        known["sequences"] = tuple(Sequence(one) for one in known["sequences"])
    return HistoryLimits(**known)


def _known(values: dict[str, Any], kind: type) -> dict[str, Any]:
    """The values, if all are fields of `kind`. Raises ValueError naming the others."""
    names = {one.name for one in fields(kind)} - {"history", "gate"}
    unknown = set(values) - names
    if unknown:
        raise ValueError(f"unknown entries {sorted(unknown)}; known are {sorted(names)}")
    return values


def _sizes(values: dict[str, Any]) -> dict[str, object]:
    """[network]: any of NetworkSizes but the widths, which follow from the backbones."""
    given = {"picture_backbone": "", "title_backbone": "", "picture_width": 0, "title_width": 0} | values
    checked = asdict(sizes_from(given))
    return {name: checked[name] for name in values}
