"""A checkpoint is used as it was written, by the cycle that wrote it, or not at all."""

from copy import deepcopy
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file

from app.training.checkpoint import Place, load_checkpoint, save_checkpoint
from models.cascade import Cascade
from models.sizes import NetworkSizes
from tests.models.tensors import small_sizes, trained_a_little

PLACE = Place(epoch=1, step=7, step_of_epoch=2)


class Beginner:
    """A network before its first step, with its optimiser; it knows whether anything was put into them."""

    def __init__(self, sizes: NetworkSizes) -> None:
        self.network = Cascade(sizes)
        self.optimiser = torch.optim.AdamW(self.network.parameters())
        self._weights = deepcopy(self.network.state_dict())
        self._random = torch.get_rng_state()

    def load(self, file: Path, *, cycle: str) -> Place | None:
        return load_checkpoint(file, cycle=cycle, network=self.network, optimiser=self.optimiser)

    @property
    def is_untouched(self) -> bool:
        weights = self.network.state_dict()
        return (
            all(torch.equal(weights[name], value) for name, value in self._weights.items())
            and not self.optimiser.state_dict()["state"]
            and torch.equal(torch.get_rng_state(), self._random)
        )


@pytest.fixture
def saved(tmp_path) -> Path:
    network = trained_a_little(small_sizes())
    optimiser = torch.optim.AdamW(network.parameters())
    sum(one.square().sum() for one in network.parameters()).backward()
    optimiser.step()
    save_checkpoint(tmp_path / "checkpoint", PLACE, cycle="this", network=network, optimiser=optimiser)
    return tmp_path / "checkpoint"


def test_its_own_cycle_goes_on_from_it(saved):
    beginner = Beginner(small_sizes())

    assert beginner.load(saved, cycle="this") == PLACE
    assert not beginner.is_untouched


def test_another_cycle_uses_nothing_of_it(saved, caplog):
    beginner = Beginner(small_sizes())

    assert beginner.load(saved, cycle="another") is None
    assert beginner.is_untouched
    assert "of another cycle" in caplog.text


def test_a_network_of_other_sizes_uses_nothing_of_it(saved, caplog):
    beginner = Beginner(small_sizes(semantic_width=16))

    assert beginner.load(saved, cycle="this") is None
    assert beginner.is_untouched
    assert "of another network" in caplog.text


@pytest.mark.parametrize("left_out", ["sha256", "random"])
def test_of_one_that_lacks_something_nothing_is_used(saved, caplog, left_out):
    with safe_open(saved, framework="pt") as opened:
        about = {name: value for name, value in opened.metadata().items() if name != left_out}
        tensors = {name: opened.get_tensor(name).clone() for name in opened.keys() if name != left_out}  # noqa: SIM118
    save_file(tensors, saved, about)
    beginner = Beginner(small_sizes())

    assert beginner.load(saved, cycle="this") is None
    assert beginner.is_untouched
    assert "nothing of it is used" in caplog.text
