"""The state of a training run <-> one file, written atomically, so that a killed trainer goes on where it was.

One safetensors file holds the network, the optimiser and the random generator; its metadata holds the place in the run,
the cycle, and a SHA-256 of all that, because safetensors does not notice a flipped bit.
"""

from __future__ import annotations

import hashlib
import json
import logging
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from app.candidates.generation import UNREADABLE
from app.errors import Unavailable
from models.cascade import Cascade

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Place:
    """Where a run stands."""

    epoch: int
    step: int  # steps done in all epochs
    step_of_epoch: int  # batches of this epoch's stream already learnt from


def save_checkpoint(
    file: Path, place: Place, *, cycle: str, network: Cascade, optimiser: torch.optim.Optimizer
) -> None:
    """Write the state; a kill at any moment leaves the former file or the new one. Raises Unavailable (disk)."""
    tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
    for number, state in optimiser.state_dict()["state"].items():
        tensors |= {f"optimiser.{number}.{name}": value for name, value in state.items()}
    tensors["random"] = torch.get_rng_state()
    building = file.with_suffix(".building")
    contents = {name: value.contiguous() for name, value in tensors.items()}
    about = {"cycle": cycle, "place": json.dumps(asdict(place))}
    try:
        save_file(contents, building, about | {"sha256": _sha256(about, contents)})
        with building.open("rb") as opened:
            os.fsync(opened.fileno())
        building.replace(file)
    except (OSError, SafetensorError) as error:
        building.unlink(missing_ok=True)
        raise Unavailable(f"the checkpoint could not be written: {error}; free space in {file.parent}") from error


def load_checkpoint(file: Path, *, cycle: str, network: Cascade, optimiser: torch.optim.Optimizer) -> Place | None:
    """Put the saved state into network, optimiser and random generator; None when there is no usable checkpoint.

    One that is damaged, or of another cycle or network, is refused before anything of it is used.
    """
    if not file.exists():
        return None
    try:
        place, tensors = _verified(file, cycle)
        state = _part(tensors, "network.")
        if _shapes(state) != _shapes(network.state_dict()):
            raise ValueError("it is of another network")
    except (SafetensorError, RuntimeError, *UNREADABLE) as error:
        log.warning("the checkpoint is refused, nothing of it is used, the training begins anew: %s", error)
        return None
    network.load_state_dict(state, strict=True)
    _restore_optimiser(optimiser, _part(tensors, "optimiser."))
    torch.set_rng_state(tensors["random"])
    return place


def _verified(file: Path, cycle: str) -> tuple[Place, dict[str, Tensor]]:
    """What the file holds. Raises ValueError and what loaders of damaged bytes raise."""
    with safe_open(file, framework="pt") as opened:
        about = opened.metadata()
        tensors = {name: opened.get_tensor(name) for name in opened.keys()}  # noqa: SIM118
    if about.pop("sha256") != _sha256(about, tensors):
        raise ValueError("its checksum does not fit")
    if about["cycle"] != cycle:
        raise ValueError("it is of another cycle")
    return Place(**json.loads(about["place"])), tensors


def _sha256(about: Mapping[str, str], tensors: Mapping[str, Tensor]) -> str:
    """Of all that a checkpoint holds, whatever the order."""
    digest = hashlib.sha256(json.dumps(about, sort_keys=True).encode())
    for name, value in sorted(tensors.items()):
        digest.update(f"{name} {value.dtype} {tuple(value.shape)}".encode())
        digest.update(value.numpy().tobytes())
    return digest.hexdigest()


def _shapes(tensors: Mapping[str, Tensor]) -> dict[str, torch.Size]:
    return {name: value.shape for name, value in tensors.items()}


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name.removeprefix(prefix): value for name, value in tensors.items() if name.startswith(prefix)}


def _restore_optimiser(optimiser: torch.optim.Optimizer, tensors: dict[str, Tensor]) -> None:
    """`number.name` tensors -> the optimiser's state."""
    state: dict[int, dict[str, Tensor]] = {}
    for key, value in tensors.items():
        number, name = key.split(".", 1)
        state.setdefault(int(number), {})[name] = value
    optimiser.load_state_dict({"state": state, "param_groups": optimiser.state_dict()["param_groups"]})
