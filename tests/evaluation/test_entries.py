"""The rows that are the product with something made otherwise: that they are really otherwise."""

from __future__ import annotations

from dataclasses import asdict, replace

import pytest
import torch
from torch import Tensor

from app.candidates.encode import start_sizes
from app.evaluation.entries import ENTRIES
from models.cascade import Cascade
from models.sizes import NetworkSizes
from tests.models.tensors import PICTURE_WIDTH, TITLE_WIDTH, random_batch

SMALL = {"width": 16, "heads": 2, "semantic_width": 16, "history_heads": 2}
OTHERWISE = [entry for entry in ENTRIES if entry.sizes]


def answers(sizes: NetworkSizes) -> Tensor:
    """What a network of these sizes says of a batch, all in a row."""
    torch.manual_seed(0)
    network = Cascade(replace(sizes, picture_width=PICTURE_WIDTH, title_width=TITLE_WIDTH)).eval()
    for head in (network.feature_extraction.semantic, network.interest.out):  # zero before any training
        torch.nn.init.normal_(head.weight, std=0.3)
    torch.manual_seed(1)
    found = network(random_batch())
    return torch.cat([found.logits.flatten(), found.ranks.flatten()])


@pytest.mark.parametrize("entry", OTHERWISE, ids=lambda entry: entry.name)
def test_an_entry_with_other_sizes_has_another_network_that_works(entry):
    usual, other = start_sizes(**SMALL), start_sizes(**SMALL, **entry.sizes)
    changed = {name for name, value in asdict(other).items() if value != getattr(usual, name)}

    assert changed == set(entry.sizes)
    assert all(type(getattr(other, name)) is type(getattr(usual, name)) for name in changed)
    assert not torch.equal(answers(usual), answers(other))
