"""How precisely products of matrices are computed: in training as quickly as the processor can, else exactly."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

HAVE_BFLOAT16 = ("avx512_bf16", "amx_bf16")  # instructions of processors


@contextmanager
def rounded() -> Iterator[None]:
    """Compute a forward pass in bfloat16 where the processor has instructions for it; weights stay float32.

    PyTorch's fused attention takes longer than its plain one for such short sequences on a CPU.
    """
    can = any(torch.cpu.get_capabilities().get(one, False) for one in HAVE_BFLOAT16)
    with sdpa_kernel(SDPBackend.MATH), torch.autocast("cpu", torch.bfloat16, enabled=can):
        yield


@contextmanager
def exact() -> Iterator[None]:
    """Compute in the precision of the operands, within a rounded computation too."""
    with torch.autocast("cpu", enabled=False):
        yield
