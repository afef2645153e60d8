"""Networks <-> a folder: weights (safetensors), sizes and choices (JSON). Strict loading, no pickle."""

from __future__ import annotations

import json
from dataclasses import asdict, fields
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from models.cascade import Cascade
from models.sizes import Fusion, Modality, NetworkSizes, Prediction

WEIGHTS, SIZES = "network.safetensors", "network.json"
SMALL_BYTES_AT_MOST = 4 << 20  # of a JSON file; ours have some thousand
HEADER_BYTES_AT_MOST = 1 << 20  # ours have some thousand; one of 90 MB took 2 GB and 39 s to be read


def save_network(network: Cascade, folder: Path) -> None:
    """Write weights and sizes into an existing folder; the caller moves the finished one into place. Raises OSError."""
    state = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    try:
        save_file(state, folder / WEIGHTS)
    except SafetensorError as error:
        raise OSError(f"{WEIGHTS} could not be written") from error
    (folder / SIZES).write_text(json.dumps(asdict(network.sizes), indent=2) + "\n")


def load_network(folder: Path) -> Cascade:
    """Rebuild the network, ready to serve. Raises ValueError when files are missing, damaged or of another shape."""
    try:
        sizes = sizes_from(json.loads(small_file(folder / SIZES)))
        _refuse_large_header(folder / WEIGHTS)
        state = load_file(folder / WEIGHTS)
        network = Cascade(sizes)
        network.load_state_dict(state, strict=True)
    except (OSError, KeyError, TypeError, RuntimeError, json.JSONDecodeError, SafetensorError) as error:
        raise ValueError(f"the network in {folder.name} cannot be loaded: {error}") from error
    return network.eval()


def small_file(file: Path) -> bytes:
    """The content of a JSON file, unless it is far larger than any of ours. Raises ValueError, OSError."""
    with file.open("rb") as opened:
        content = opened.read(SMALL_BYTES_AT_MOST + 1)
    if len(content) > SMALL_BYTES_AT_MOST:
        raise ValueError(f"{file.name} has more than {SMALL_BYTES_AT_MOST} bytes")
    return content


def _refuse_large_header(weights: Path) -> None:
    """The file begins with the length of its header. Raises ValueError, OSError."""
    with weights.open("rb") as opened:
        header_bytes = int.from_bytes(opened.read(8), "little")
    if header_bytes > HEADER_BYTES_AT_MOST:
        raise ValueError(f"{WEIGHTS} has a header of {header_bytes} bytes")


def sizes_from(values: dict[str, object]) -> NetworkSizes:
    """Sizes from their JSON form. Raises ValueError for an unknown name or choice."""
    known = {field.name for field in fields(NetworkSizes)}
    unknown = set(values) - known
    if unknown:
        raise ValueError(f"unknown network sizes: {', '.join(sorted(unknown))}; known are {', '.join(sorted(known))}")
    choices = {"modality": Modality, "fusion": Fusion, "prediction": Prediction}
    typed = {name: choices[name](str(value)) if name in choices else value for name, value in values.items()}
    sizes = NetworkSizes(**typed)  # type: ignore[arg-type]
    if sizes.layers < 1:
        raise ValueError("layers: 1 at least")
    return sizes


def same_weights(one: Cascade, other: Cascade) -> bool:
    """Whether two networks are equal to the last bit."""
    first, second = one.state_dict(), other.state_dict()
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)
