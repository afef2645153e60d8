"""How precisely products of matrices are computed: in training as quickly as the processor can, else exactly."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch.nn.attention import SDPBackend, sdpa_kernel

HAVE_BFLOAT16 = ("avx512_bf16", "amx_bf16")  # instructions of processors


@contextmanager
def quick_kernels() -> Iterator[None]:
    """Multiply float32 matrices by oneDNN's kernels, which take half of the time of MKL's on an AMD EPYC.

    PyTorch's fused attention is slow with this setting, its plain one is not. On processors with AMX the factors may be
    rounded to bfloat16.
    """
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("medium")
    try:
        with sdpa_kernel(SDPBackend.MATH):
            yield
    finally:
        torch.set_float32_matmul_precision(before)


@contextmanager
def rounded() -> Iterator[None]:
    """Compute a forward pass in bfloat16 where the processor has instructions for it; weights stay float32."""
    can = any(torch.cpu.get_capabilities().get(one, False) for one in HAVE_BFLOAT16)
    with torch.autocast("cpu", torch.bfloat16, enabled=can):
        yield


@contextmanager
def exact() -> Iterator[None]:
    """Compute in the precision of the operands, within a rounded computation too."""
    with torch.autocast("cpu", enabled=False):
        yield
