"""Rows 11 and 13: a generation whose files were damaged or made to do harm is refused, the old one serves."""

from __future__ import annotations

import io
import multiprocessing
import os
import pickle
import random
import shutil
import struct
from multiprocessing.connection import Connection
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
import torch

from app.candidates.generation import REQUIRED, load_generation
from app.errors import BadArtefact, UnknownId
from scripts.bench_processes import peak_gib
from tests.trust.figures import Row
from tests.trust.tampering import FLAT_POSTS, copied, is_refused, reseal, write

GROWN_MB = 20
CHILDREN = multiprocessing.get_context("forkserver")
CHILDREN.set_forkserver_preload(["tests.trust.test_damaged_files"])


def damaged(file: Path, chance: random.Random) -> str:
    """Flip one bit, or cut the end off."""
    content = bytearray(file.read_bytes())
    if chance.random() < 0.3:
        file.write_bytes(content[: chance.randrange(len(content))])
        return "cut"
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    file.write_bytes(content)
    return "flipped"


@pytest.mark.trust(11)
def test_every_damage_to_any_file_is_refused_and_the_old_generation_serves_on(row: Row, folder, tmp_path, at_full):
    serving = write(folder)
    folder.promote(serving)
    victim = folder.path(write(folder, seed=1))
    chance, accepted, old_lost, done = random.Random(11), 0, 0, {"cut": 0, "flipped": 0}
    files = sorted(file.name for file in victim.iterdir())
    trials = at_full(120, 500)

    kept = copied(victim, tmp_path / "kept")
    for trial in range(trials):
        name = files[trial % len(files)]
        done[damaged(victim / name, chance)] += 1
        accepted += not is_refused(victim)
        try:
            folder.promote(victim.name)
            old_lost += 1
        except (BadArtefact, UnknownId):
            old_lost += folder.current() != serving
        shutil.copy(kept / name, victim / name)

    row.done = f"{done['flipped']} bits flipped, {done['cut']} ends cut off, over all {len(files)} files"
    row.none(accepted=accepted, old_generation_lost=old_lost)
    assert not is_refused(victim), "undamaged it is accepted"


class Touch:
    """Unpickled, it makes a file."""

    def __init__(self, file: Path) -> None:
        self.file = file

    def __reduce__(self):
        return Path.touch, (self.file,)


class Harmless(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x


def array_bytes(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.save(out, array, allow_pickle=True)
    return out.getvalue()


def archive() -> bytes:
    out = io.BytesIO()
    np.savez(out, zeros=np.zeros(4, np.float32))
    return out.getvalue()


def script_bytes() -> bytes:
    out = io.BytesIO()
    torch.jit.save(torch.jit.script(Harmless()), out)
    return out.getvalue()


@pytest.mark.trust(13)
def test_files_made_to_do_harm_run_no_code_and_cost_little(row: Row, folder, tmp_path):
    one = folder.path(write(folder))
    trap = tmp_path / "trap"
    objects = np.empty(FLAT_POSTS, object)
    objects[:] = [Touch(trap)] * FLAT_POSTS
    torch_file = io.BytesIO()
    torch.save({"weights": Touch(trap)}, torch_file)
    poison = {
        "a pickle": pickle.dumps(Touch(trap)),
        "a torch.save file": torch_file.getvalue(),
        "TorchScript": script_bytes(),
        "an array of objects": array_bytes(objects),
        "a header of an exabyte": struct.pack("<Q", 1 << 60) + b"{}",
        "a header that claims 90 MB": struct.pack("<Q", 90 << 20) + b'{"a":' * 1000,
        "a header of 90 MB": header_of_many_tensors(90 << 20),
        "an array that claims a terabyte": huge_array(),
        "an archive of arrays": archive(),
        "deep nesting": b"[" * 200_000,
        "nothing": b"",
    }
    accepted, ended, grown = [], [], []
    for what, content in poison.items():
        for name in REQUIRED:
            tampered = copied(one, tmp_path / "tampered")
            (tampered / name).write_bytes(content)
            reseal(tampered)
            told = told_by_a_child(one, tampered)
            if told is None:
                ended.append((what, name))
                continue
            grown.append(told.grown_mb)
            if not told.refused:
                accepted.append((what, name))

    row.done = f"{len(poison)} kinds of hostile content in each of {len(REQUIRED)} files, with a manifest that agrees"
    row.none(code_run=int(trap.exists()), accepted=len(accepted), ended_the_process=len(ended))
    row.at_most(GROWN_MB, "memory grown by", max(grown), "MB")
    assert (accepted, ended) == ([], [])


def header_of_many_tensors(length: int) -> bytes:
    """A safetensors file whose header is as long as it says, and valid: of more empty tensors than any network has."""
    tensor = '"%07d":{"dtype":"F32","shape":[0],"data_offsets":[0,0]},'
    header = "{" + "".join(tensor % number for number in range(length // len(tensor % 0)))[:-1] + "}"
    return struct.pack("<Q", len(header)) + header.encode()


class Told(NamedTuple):
    """What loading a folder came to."""

    refused: bool
    grown_mb: float  # the peak of memory above that after a good one


def told_by_a_child(good: Path, folder: Path) -> Told | None:
    """Load the folder in a process of its own, which no earlier peak can hide; None where that process has ended."""
    answer, question = CHILDREN.Pipe(duplex=False)
    child = CHILDREN.Process(target=tell, args=[good, folder, question])
    child.start()
    question.close()
    try:
        return answer.recv()
    except EOFError:
        return None
    finally:
        child.join()


def tell(good: Path, folder: Path, question: Connection) -> None:
    """What such a process does."""
    load_generation(good)
    Path("/proc/self/clear_refs").write_text("5")  # the peak is measured anew
    before = peak_gib(os.getpid())
    refused = is_refused(folder)
    question.send(Told(refused, 1024 * (peak_gib(os.getpid()) - before)))


def huge_array() -> bytes:
    """A NumPy file whose head speaks of a terabyte."""
    head = b"{'descr': '<f4', 'fortran_order': False, 'shape': (274877906944,), }"
    head += b" " * (64 - (10 + len(head) + 1) % 64) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(head)) + head + b"\0" * 64
