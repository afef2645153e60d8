import pytest
import torch

from models.precision import HAVE_BFLOAT16, exact, rounded
from tests.models.tensors import random_batch, small_sizes, trained_a_little

can_round = any(torch.cpu.get_capabilities().get(one, False) for one in HAVE_BFLOAT16)


@pytest.mark.skipif(not can_round, reason="this processor has no instructions for bfloat16")
def test_a_rounded_pass_multiplies_in_bfloat16_but_for_what_is_exact_in_it():
    one = torch.randn(4, 4)

    with rounded():
        product = one @ one
        with exact():
            exactly = one @ one

    assert product.dtype == torch.bfloat16
    assert torch.equal(exactly, one @ one)


def test_a_rounded_pass_predicts_nearly_the_same_and_in_float32():
    torch.manual_seed(0)
    network, batch = trained_a_little(small_sizes()).eval(), random_batch()

    exactly = network(batch)
    with rounded():
        nearly = network(batch)

    for name in ("logits", "scores", "ranks"):
        one, other = getattr(exactly, name), getattr(nearly, name)
        assert other.dtype == torch.float32
        assert torch.allclose(one, other, atol=0.2), name


def test_rounding_ends_with_its_block():
    with pytest.raises(RuntimeError, match="stop"), rounded():
        raise RuntimeError("stop")

    assert not torch.is_autocast_enabled("cpu")
