"""The state of a training run <-> one file, written atomically, so that a killed trainer goes on where it was.

One safetensors file holds the network, the optimiser and the random generator; its metadata holds the place in the run.
"""

from __future__ import annotations

import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from app.errors import Unavailable
from models.cascade import Cascade


@dataclass(frozen=True)
class Place:
    """Where a run stands."""

    epoch: int
    step: int  # steps done in all epochs
    step_of_epoch: int  # batches of this epoch's stream already learnt from


def save_checkpoint(file: Path, place: Place, *, network: Cascade, optimiser: torch.optim.Optimizer) -> None:
    """Write the state; a kill at any moment leaves the former file or the new one. Raises Unavailable (disk)."""
    tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
    for number, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{number}.{name}": value for name, value in state.items()}
    tensors["random"] = torch.get_rng_state()
    building = file.with_suffix(".building")
    contents = {name: value.contiguous() for name, value in tensors.items()}
    try:
        save_file(contents, building, {"place": json.dumps(asdict(place))})
        with building.open("rb") as opened:
            os.fsync(opened.fileno())
        building.replace(file)
    except (OSError, SafetensorError) as error:
        building.unlink(missing_ok=True)
        raise Unavailable(f"the checkpoint could not be written: {error}; free space in {file.parent}") from error


def load_checkpoint(file: Path, *, network: Cascade, optimiser: torch.optim.Optimizer) -> Place | None:
    """Put the saved state into network, optimiser and random generator; None when there is no usable checkpoint."""
    if not file.exists():
        return None
    try:
        with safe_open(file, framework="pt") as opened:
            place = Place(**json.loads(opened.metadata()["place"]))
            tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
        network.load_state_dict(_part(tensors, "network."), strict=True)
        _restore_optimiser(optimiser, _part(tensors, "optimiser."))
        torch.set_rng_state(tensors["random"])
    except (SafetensorError, KeyError, TypeError, ValueError, RuntimeError):
        return None  # of another plan or damaged: the run starts anew
    return place


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _restore_optimiser(optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """`number.name` tensors -> the optimiser's state."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        number, name = key.split(".", 1)
        state.setdefault(int(number), {})[name] = value
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
